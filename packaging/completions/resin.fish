# fish completion for resin. Commands and options come from `resin help` at the time of completion.

function __resin_command
    set -l words (commandline -opc)
    set -e words[1]
    for w in $words
        if not string match -q -- '-*' $w
            echo $w
            return 0
        end
    end
    return 1
end

function __resin_commands
    resin help 2>/dev/null | string replace -rf '^  ([a-z]+) +(.*)$' '$1\t$2'
end

# "--limit=N   rows" becomes "--limit=<tab>rows"
function __resin_options
    set -l command (__resin_command); or return
    resin help $command 2>/dev/null |
        string replace -rf '^  (--[a-z][a-z-]*=?)\S* *(.*)$' '$1\t$2'
end

function __resin_pids
    for d in /proc/[0-9]*
        set -l name (cat $d/comm 2>/dev/null); or continue
        printf '%s\t%s\n' (string replace /proc/ '' $d) $name
    end
end

function __resin_words
    set -l n 0
    set -l words (commandline -opc)
    set -e words[1]
    for w in $words
        if not string match -q -- '-*' $w
            set n (math $n + 1)
        end
    end
    echo $n
end

complete -c resin -f
complete -c resin -n 'not __resin_command >/dev/null' -a '(__resin_commands)'
complete -c resin -n 'not __resin_command >/dev/null' -l help -d 'List of commands'
complete -c resin -n 'not __resin_command >/dev/null' -l version -d 'Version'
complete -c resin -n '__resin_command >/dev/null; and string match -q -- "-*" (commandline -ct)' -a '(__resin_options)'
complete -c resin -n 'contains -- (__resin_command) check diagnose; and test (__resin_words) = 1' -a '(__resin_pids)'
complete -c resin -n 'contains -- (__resin_command) ticket; and test (__resin_words) = 1' -a 'list show'
complete -c resin -n 'contains -- (__resin_command) help; and test (__resin_words) = 1' -a '(__resin_commands) config'

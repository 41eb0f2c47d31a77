# bash completion for resin. The names of commands and their options come from `resin help` at the
# time of completion, so that nothing here has to follow the program.

_resin_options() { # COMMAND: its long options, those with a value ending in =
	"$1" help "$2" 2>/dev/null |
		sed -n 's/^  \(--[a-z][a-z-]*=\{0,1\}\).*/\1/p'
}

_resin_pids() {
	local d
	for d in /proc/[0-9]*; do
		echo "${d#/proc/}"
	done
}

_resin() {
	local program=${COMP_WORDS[0]} cur=${COMP_WORDS[COMP_CWORD]} prev='' options='' command words i w
	local -a args=()

	COMPREPLY=()
	((COMP_CWORD > 0)) && prev=${COMP_WORDS[COMP_CWORD - 1]}

	# "=" is a word of its own to bash: --sort=gr is three words.
	if [[ $cur == = ]]; then
		cur=
		[[ $prev == --* ]] || return 0
	elif [[ $prev == = ]] && ((COMP_CWORD > 1)); then
		prev=${COMP_WORDS[COMP_CWORD - 2]}
	elif [[ $cur == --*=* ]]; then
		prev=${cur%%=*}
		cur=${cur#*=}
	fi

	# The words before this one that are neither options nor values of options.
	for ((i = 1; i < COMP_CWORD; i++)); do
		w=${COMP_WORDS[i]}
		if [[ $w == = ]]; then
			((i++))
		elif [[ $w != -* ]]; then
			args+=("$w")
			((${#args[@]} == 1)) && options=$(_resin_options "$program" "$w")
		elif [[ ${COMP_WORDS[i + 1]-} != = && $'\n'$options$'\n' == *$'\n'"$w="$'\n'* ]]; then
			((i++)) # --limit 5, without "="
		fi
	done
	command=${args[0]-}

	if [[ -z $command ]]; then
		words=$("$program" help --list 2>/dev/null)
		[[ $cur == -* ]] && words='--help --version'
		mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
		return 0
	fi

	case $prev in
	--sort)
		mapfile -t COMPREPLY < <(compgen -W 'growth size' -- "$cur")
		return 0
		;;
	--token | --config)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -f -- "$cur")
		return 0
		;;
	--data)
		compopt -o filenames 2>/dev/null
		mapfile -t COMPREPLY < <(compgen -d -- "$cur")
		return 0
		;;
	--*)
		# Another option with a value: nothing to offer. One without: go on.
		[[ $'\n'$options$'\n' == *$'\n'"$prev="$'\n'* ]] && return 0
		;;
	esac

	if [[ $cur == -* ]]; then
		mapfile -t COMPREPLY < <(compgen -W "$options" -- "$cur")
		[[ ${COMPREPLY[0]-} == *= ]] && compopt -o nospace 2>/dev/null
		return 0
	fi

	words=''
	case $command in
	check | diagnose)
		((${#args[@]} == 1)) && words=$(_resin_pids)
		;;
	ticket)
		((${#args[@]} == 1)) && words='list show'
		;;
	help)
		((${#args[@]} == 1)) && words="$("$program" help --list 2>/dev/null) config"
		;;
	esac
	mapfile -t COMPREPLY < <(compgen -W "$words" -- "$cur")
	return 0
}

complete -F _resin resin

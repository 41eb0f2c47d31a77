/*
 * What --help prints, one text per command. A test holds the options here against the manual.
 */
#ifndef RESIN_CMD_HELP_TEXT_H
#define RESIN_CMD_HELP_TEXT_H

#define HELP_check                                                                                   \
	"Usage: resin check [PID] [--json]\n"                                                        \
	"May this host be profiled, and PID with it? Each line is one thing that was looked at.\n\n" \
	"  --json          as JSON (resin.check/1)\n\n"                                              \
	"Exit status: 0 all is well, 5 something is not permitted or not supported here, 6 PID is gone.\n"

#define HELP_diagnose                                                                                    \
	"Usage: resin diagnose PID [--duration=30s] [--period=256K] [--top=5] [--exit-code] [--json]\n"  \
	"Loads a sampling probe into the live process PID, watches its allocations for a while, takes\n" \
	"the probe out again and ranks the stacks whose live memory grows. No server is needed. Only\n"  \
	"allocations made while it watches are seen.\n\n"                                                \
	"  --duration=D    how long to watch (1s to 1h; default 30s)\n"                                  \
	"  --period=SIZE   mean number of bytes between samples (4K to 64M; default 256K); raised by\n"  \
	"                  itself when there are too many samples\n"                                     \
	"  --top=N         how many stacks to print (1 to 20; default 5); --json prints 20\n"            \
	"  --exit-code     exit with 1 when a leak is found\n"                                           \
	"  --json          as JSON (resin.diagnosis/1)\n\n"                                              \
	"Exit status: 0 done, 1 leak found (with --exit-code), 3 failed, 5 not permitted or not\n"       \
	"supported here, 6 PID is gone.\n"

#define HELP_DETECT_INPUT                                                                             \
	"  --input=FILE    CSV, JSON Lines or a Prometheus answer; - is standard input; repeatable\n" \
	"  --format=F      auto (default), csv, wide, json-lines, prometheus\n"                       \
	"  --time-column=NAME    wide CSV: the column with the time (default time)\n"                 \
	"  --value-columns=A,B*  wide CSV: the columns that are series, names or patterns\n"          \
	"  --load=COLUMN   what growth may be explained by: any (default), cpu_seconds, threads,\n"   \
	"                  descriptors, requests\n"                                                   \
	"  --hour=D        how long the detector's hour is (default 1h); with 1s, a test of two\n"    \
	"                  minutes is judged like five days\n"                                        \
	"  --prometheus=URL  ask a Prometheus instead, or as well; with\n"                            \
	"  --query=PROMQL  what to ask for\n"                                                         \
	"  --range=D       how far back (default 14d)\n"                                              \
	"  --step=D        one sample every so often (default 5m)\n"                                  \
	"  --token=FILE    a bearer token for Prometheus\n"

#define HELP_detect                                                                                    \
	"Usage: resin detect [--input=]FILE... [--plot=DIR] [--all] [--exit-code] [--json]\n"          \
	"       resin detect --prometheus=URL --query=PROMQL [--range=14d] [--step=5m] ...\n"          \
	"Judges memory series hour by hour, as a live server would have, and says what leaks, since\n" \
	"when, how fast, and why it says so. No server and no agent are needed.\n\n" HELP_DETECT_INPUT \
	"  --plot=DIR      write a picture (SVG) of every finding\n"                                   \
	"  --all           also what is explained or does not grow\n"                                  \
	"  --exit-code     exit with 1 when something is called a leak\n"                              \
	"  --json          as JSON (resin.detection/1)\n\n"                                            \
	"Exit status: 0 done, 1 leak found (with --exit-code), 2 wrong use, 3 an input cannot be read.\n"

#define HELP_explain                                                                                    \
	"Usage: resin explain --ticket=N [--server=URL] [--json]\n"                                     \
	"       resin explain [--host=HOST] [--component=NAME] [--input=]FILE...\n"                     \
	"What the server knows of a ticket's process over weeks, level by level. Or: "                  \
	"replays what\n"                                                                                \
	"resin detect sees, and prints the numbers of every level: at the hour of the first\n"          \
	"alarm, and at the end; without --host and --component, of all that it would show.\n\n"         \
	"  --ticket=N      of the server's ticket N, instead of files\n"                                \
	"  --server=URL    default http://127.0.0.1:7411, or RESIN_SERVER\n"                            \
	"  --json          of a ticket: as JSON (resin.weeks/1)\n" HELP_DETECT_INPUT                    \
	"  --host=HOST     only that host\n"                                                            \
	"  --component=NAME  only that component\n\n"                                                   \
	"Exit status: 0 done, 2 wrong use, 3 an input cannot be read, the server does not answer, or\n" \
	"there is no such entity or ticket.\n"

#define HELP_fleet                                                                         \
	"Usage: resin fleet [--limit=20] [--server=URL] [--json]\n"                        \
	"Components over all hosts, the abnormal ones first: on how many hosts they are\n" \
	"larger than ever, and whether a new version grows away from the old one.\n\n"     \
	"  --limit=N       rows (default 20)\n"                                            \
	"  --server=URL    default http://127.0.0.1:7411, or RESIN_SERVER\n"               \
	"  --json          as JSON (resin.fleet/1)\n"

#define HELP_top                                                                       \
	"Usage: resin top [--limit=20] [--sort=growth|size] [--server=URL] [--json]\n" \
	"Processes that the server knows, those that grow fastest first.\n\n"          \
	"  --limit=N       rows (default 20)\n"                                        \
	"  --sort=KEY      growth (default) or size\n"                                 \
	"  --server=URL    default http://127.0.0.1:7411, or RESIN_SERVER\n"           \
	"  --json          as JSON (resin.top/1)\n"

#define HELP_status                                                                         \
	"Usage: resin status [--server=URL] [--json]\n"                                     \
	"Is the server well, which hosts report, how late, and has anything been lost?\n\n" \
	"  --server=URL    default http://127.0.0.1:7411, or RESIN_SERVER\n"                \
	"  --json          as JSON (resin.status/1)\n"

#define HELP_ticket                                                          \
	"Usage: resin ticket list [--all] [--server=URL] [--json]\n"         \
	"       resin ticket show ID [--server=URL] [--json]\n"              \
	"The open tickets, or one with its evidence.\n\n"                    \
	"  --all           closed ones too\n"                                \
	"  --server=URL    default http://127.0.0.1:7411, or RESIN_SERVER\n" \
	"  --json          as JSON (resin.tickets/1, resin.ticket/1)\n\n"    \
	"Exit status: 0 done, 3 the server does not answer or there is no such ticket.\n"

#define HELP_server                                                                                   \
	"Usage: resin server [--data=DIR] [--listen=ADDRESS:PORT] [--token=FILE] [--config=FILE]\n"   \
	"Receives samples, judges, opens tickets and serves the web page and the API.\n\n"            \
	"  --data=DIR      where everything is kept (default /var/lib/resin)\n"                       \
	"  --listen=A:P    loopback only, for now (default 127.0.0.1:7411)\n"                         \
	"  --token=FILE    the secret shared with the agent (default DIR/token; made when missing)\n" \
	"  --config=FILE   default /etc/resin/resin.conf; see resin.conf(5)\n"

#define HELP_demo                                                                                         \
	"Usage: resin demo [--server=URL] [--token=FILE] [--keep]\n"                                      \
	"Starts a small server that forgets a buffer on one of its request paths, and a client that\n"    \
	"uses it, and shows how the running agent and server catch it. All periods are shortened\n"       \
	"alike while it runs. Takes about 90 seconds; stops and cleans up by itself.\n\n"                 \
	"  --server=URL    default http://127.0.0.1:7411, or RESIN_SERVER\n"                              \
	"  --token=FILE    the server's token (default: that of `make run`, then /var/lib/resin/token)\n" \
	"  --keep          leave the leaking program running until Ctrl-C\n\n"                            \
	"Exit status: 0 the leak was named, 3 it was not.\n"

#define HELP_version                                                                 \
	"Usage: resin version [--json]\n"                                            \
	"Prints the version, the processor and the libraries it was built with.\n\n" \
	"  --json          as JSON (resin.version/1)\n"

#define HELP_help                                                                              \
	"Usage: resin help [COMMAND]\n"                                                        \
	"       resin help --list\n"                                                           \
	"       resin help config\n"                                                           \
	"Help on a command; without one, the list of commands. `config` prints every key of\n" \
	"resin.conf with its default and bounds.\n\n"                                          \
	"  --list          names only, one a line, for completion\n"

#endif

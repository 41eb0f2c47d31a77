/*
 * Fills @KEYS@ of resin.conf.5.in with the table of keys: gen-conf-man INPUT OUTPUT.
 */
#include <stdio.h>
#include <string.h>

#include "cmd/settings.h"

int main(int argc, char **argv)
{
	char line[1024];
	FILE *in = argc == 3 ? fopen(argv[1], "r") : NULL;

	if (!in || !freopen(argv[2], "w", stdout)) {
		perror("gen-conf-man");
		return 1;
	}
	while (fgets(line, sizeof(line), in)) {
		if (strcmp(line, "@KEYS@\n") == 0)
			settings_print_man();
		else
			fputs(line, stdout);
	}
	fclose(in);
	return fflush(stdout) == 0 ? 0 : 1;
}

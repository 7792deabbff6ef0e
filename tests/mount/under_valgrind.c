/* SPDX-License-Identifier: MIT */

/*
 * Put in the place of the daemon's binary, this is what SIGHUP starts as the next worker: the program that
 * VALGRIND_PROGRAM names, under valgrind. The supervisor goes on as it is, since it needs open_tree(2), which
 * valgrind does not know; a worker does not.
 */
#include <err.h>
#include <stdlib.h>
#include <unistd.h>

static const char *const command[] = {"valgrind",
				      "-q",
				      "--error-exitcode=9",
				      "--leak-check=full",
				      "--show-leak-kinds=definite",
				      "--errors-for-leak-kinds=definite"};

enum { N_COMMAND = sizeof(command) / sizeof(command[0]) };

int main(int argc, char **argv)
{
	const char *program = getenv("VALGRIND_PROGRAM");
	const char **words = calloc(N_COMMAND + (size_t)argc + 1, sizeof(*words));
	size_t n = 0;

	if (!program || !words)
		errx(1, "VALGRIND_PROGRAM names no program");
	while (n < N_COMMAND) {
		words[n] = command[n];
		n++;
	}
	words[n++] = program;
	for (int i = 1; i < argc; i++)
		words[n++] = argv[i];
	execvp(words[0], (char **)words);
	err(1, "%s", words[0]);
}

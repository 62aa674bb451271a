/* libseccomp as a filter: profiles on stdin, one word after the other; the program that it makes of
 * each on stdout, as LENGTH,CODE JT JF K,... or "! ERRNO".
 *
 *   profile DEFAULT     starts one (numbers are decimal)
 *   native ARCH         only this architecture, by its token, instead of the machine's
 *   arch ARCH           one more
 *   rule ACTION NAME N [INDEX OP A B]...
 *   end
 *   resolve ARCH NAME   prints the number, or -1 for none
 */
#include <errno.h>
#include <inttypes.h>
#include <seccomp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>
#include <byteswap.h>

static scmp_filter_ctx ctx;
static int failed, swap;

static int action(uint32_t k)
{
	switch (k >> 16) {
	case 0x8000: case 3: case 5: case 0x7ff0: case 0x7ffc: case 0x7fc0: case 0x7fff:
		return 1;
	}
	return k == 0;
}

static void done(void)
{
	FILE *f = tmpfile();
	unsigned char b[8];
	long n, i;

	if (!failed)
		failed = seccomp_export_bpf(ctx, fileno(f));
	seccomp_release(ctx);
	if (failed) {
		printf("! %d\n", -failed);
		fclose(f);
		fflush(stdout);
		return;
	}
	n = lseek(fileno(f), 0, SEEK_END) / 8;
	rewind(f);
	printf("%ld", n);
	for (i = 0; i < n && fread(b, 8, 1, f) == 1; i++) {
		uint16_t code;
		uint32_t k;
		memcpy(&code, b, 2);
		memcpy(&k, b + 4, 4);
		if (swap) {
			code = bswap_16(code);
			/* Some verdicts it leaves in the order of the machine. */
			if (code != 6 || !action(k))
				k = bswap_32(k);
		}
		printf(",%u %u %u %" PRIu32, code, b[2], b[3], k);
	}
	printf("\n");
	fclose(f);
	fflush(stdout);
}

int main(void)
{
	char word[64], name[64];
	uint32_t n, count, i;

	while (scanf("%63s", word) == 1) {
		if (!strcmp(word, "profile") && scanf("%" SCNu32, &n) == 1) {
			ctx = seccomp_init(n);
			failed = swap = 0;
		} else if (!strcmp(word, "native") && scanf("%" SCNu32, &n) == 1) {
			if (n != seccomp_arch_native()) {
				failed = seccomp_arch_remove(ctx, SCMP_ARCH_NATIVE);
				if (!failed)
					failed = seccomp_arch_add(ctx, n);
			}
			swap = !(n & 0x40000000);
		} else if (!strcmp(word, "arch") && scanf("%" SCNu32, &n) == 1) {
			int e = seccomp_arch_add(ctx, n);
			if (e && e != -EEXIST && !failed)
				failed = e;
		} else if (!strcmp(word, "rule") && scanf("%" SCNu32 " %63s %" SCNu32, &n, name, &count) == 3) {
			struct scmp_arg_cmp args[6];
			for (i = 0; i < count && i < 6; i++) {
				unsigned index, op;
				uint64_t a, b;
				if (scanf("%u %u %" SCNu64 " %" SCNu64, &index, &op, &a, &b) != 4)
					return 1;
				args[i] = (struct scmp_arg_cmp){ index, op, a, b };
			}
			int nr = seccomp_syscall_resolve_name(name);
			if (nr != __NR_SCMP_ERROR && !failed)
				failed = seccomp_rule_add_array(ctx, n, nr, count, args);
		} else if (!strcmp(word, "end")) {
			done();
		} else if (!strcmp(word, "resolve") && scanf("%" SCNu32 " %63s", &n, name) == 2) {
			int nr = seccomp_syscall_resolve_name_arch(n, name);
			printf("%d\n", nr);
			fflush(stdout);
		} else {
			return 1;
		}
	}
	return 0;
}

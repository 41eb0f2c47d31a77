#include "torture.h"

#include <inttypes.h>
#include <math.h>
#include <sys/wait.h>

#include "base/arena.h"
#include "base/buf.h"
#include "base/clock.h"
#include "base/config.h"
#include "base/err.h"
#include "base/fault.h"
#include "base/json.h"
#include "base/limits.h"
#include "base/map.h"
#include "base/units.h"

/* buf, array, arena */

static void buf_takes_its_limit_and_no_byte_more(void **state)
{
	struct buf b = BUF_INIT(1000);
	char bytes[1001];

	memset(bytes, 'x', sizeof(bytes));
	assert_int_equal(buf_add(&b, bytes, 999), 0);
	assert_int_equal(buf_add(&b, "yy", 2), -EMSGSIZE);
	assert_int_equal(b.len, 999);
	assert_int_equal(b.data[999], 0);
	assert_int_equal(buf_add(&b, "y", 1), 0);
	assert_int_equal(b.len, 1000);
	assert_int_equal(b.data[999], 'y');
	assert_int_equal(b.data[1000], 0);
	assert_int_equal(buf_add(&b, "", 0), 0);
	assert_int_equal(buf_add(&b, "z", 1), -EMSGSIZE);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -EMSGSIZE);
	assert_int_equal(b.len, 1000);
	buf_done(&b);
	assert_null(b.data);
	buf_done(&b);
	buf_done(NULL);
}

static void buf_with_limit_zero_holds_nothing(void **state)
{
	struct buf b = BUF_INIT(0);

	assert_int_equal(buf_add(&b, "a", 1), -EMSGSIZE);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	buf_done(&b);
}

static void buf_printf_at_the_limit(void **state)
{
	struct buf b = BUF_INIT(8);

	assert_int_equal(buf_printf(&b, "%s", "12345"), 0);
	assert_int_equal(buf_printf(&b, "%d", 6789), -EMSGSIZE);
	assert_string_equal(b.data, "12345");
	assert_int_equal(b.len, 5);
	assert_int_equal(buf_printf(&b, "%d", 678), 0);
	assert_string_equal(b.data, "12345678");
	assert_int_equal(buf_printf(&b, "%s", ""), 0);
	buf_done(&b);
}

static void buf_consume_moves_the_rest(void **state)
{
	struct buf b = BUF_INIT(100);

	assert_int_equal(buf_add(&b, "abcdef", 6), 0);
	buf_consume(&b, 0);
	assert_string_equal(b.data, "abcdef");
	buf_consume(&b, 2);
	assert_string_equal(b.data, "cdef");
	assert_int_equal(b.len, 4);
	buf_consume(&b, 5);
	assert_int_equal(b.len, 0);
	assert_string_equal(b.data, "");
	assert_int_equal(buf_add(&b, "g", 1), 0);
	buf_consume(&b, 1);
	assert_string_equal(b.data, "");
	buf_clear(&b);
	buf_done(&b);
	buf_clear(&b);
}

static int read_file_into(struct buf *b, size_t n)
{
	struct folder f;
	char *bytes = malloc(n + 1);
	int fd, r;

	folder_make(&f);
	memset(bytes, 'r', n + 1);
	folder_write_bytes(&f, "x", bytes, n);
	fd = open(folder_path(&f, "x"), O_RDONLY);
	assert_true(fd >= 0);
	r = buf_read_fd(b, fd);
	if (r == 0) {
		assert_int_equal(b->len, n);
		assert_memory_equal(b->data, bytes, n);
		assert_int_equal(b->data[n], 0);
	}
	close(fd);
	free(bytes);
	folder_remove(&f);
	return r;
}

static void buf_read_fd_reads_to_the_end(void **state)
{
	static const size_t sizes[] = {0, 1, 254, 255, 256, 4095, 4096, 4097, 9999};

	for (size_t i = 0; i < COUNT(sizes); i++) {
		struct buf b = BUF_INIT(10000);

		assert_int_equal(read_file_into(&b, sizes[i]), 0);
		buf_done(&b);
	}
}

static void buf_read_fd_refuses_more_than_the_ceiling(void **state)
{
	struct buf b = BUF_INIT(10000);
	int closed = dup(0);

	assert_int_equal(read_file_into(&b, 10001), -EMSGSIZE);
	assert_true(b.len <= 10000);
	buf_clear(&b);
	close(closed);
	assert_int_equal(buf_read_fd(&b, closed), -EBADF);
	buf_done(&b);
}

/* "-EMSGSIZE when it holds more than the ceiling": exactly the ceiling is not more. */
static void buf_read_fd_takes_exactly_the_ceiling(void **state)
{
	struct buf b = BUF_INIT(10000);

	assert_int_equal(read_file_into(&b, 10000), 0);
	buf_done(&b);
}

static void array_grows_to_its_ceiling(void **state)
{
	uint32_t *v = NULL, *before;
	size_t cap = 0;

	assert_int_equal(array_reserve(&v, &cap, 0, sizeof(*v), 100), 0);
	assert_null(v);
	assert_int_equal(array_reserve(&v, &cap, 1, sizeof(*v), 100), 0);
	assert_true(cap >= 1 && cap <= 100);
	assert_int_equal(array_reserve(&v, &cap, 100, sizeof(*v), 100), 0);
	assert_int_equal(cap, 100);
	v[99] = 7;
	before = v;
	assert_int_equal(array_reserve(&v, &cap, 101, sizeof(*v), 100), -EMSGSIZE);
	assert_ptr_equal(v, before);
	assert_int_equal(cap, 100);
	assert_int_equal(v[99], 7);
	free(v);
}

static void array_reserve_does_not_overflow(void **state)
{
	uint64_t *v = NULL;
	size_t cap = 0;

	assert_int_equal(array_reserve(&v, &cap, (size_t)1 << 62, sizeof(*v), SIZE_MAX), -ENOMEM);
	assert_null(v);
	assert_int_equal(cap, 0);
}

static void arena_is_capped_zeroed_and_aligned(void **state)
{
	struct arena a = ARENA_INIT(1u << 20);
	size_t taken = 0, n = 1;
	unsigned char *p;

	for (; (p = arena_alloc(&a, n)); n = n * 3 / 2 + 1) {
		assert_int_equal((uintptr_t)p % _Alignof(max_align_t), 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
		taken += n;
		assert_true(taken <= 1u << 20);
	}
	assert_true(taken > 1u << 18);
	assert_null(arena_alloc(&a, 1u << 20));
	assert_null(arena_alloc(&a, SIZE_MAX));
	arena_done(&a);
	assert_non_null(arena_alloc(&a, 1u << 20));
	assert_null(arena_alloc(&a, 1));
	arena_done(&a);
	arena_done(NULL);
}

static void arena_arrays_and_strings(void **state)
{
	struct arena a = ARENA_INIT(1000);

	assert_null(arena_array(&a, SIZE_MAX / 2, 3));
	assert_null(arena_array(&a, SIZE_MAX, SIZE_MAX));
	assert_non_null(arena_array(&a, 0, 8));
	assert_null(arena_array(&a, 126, 8));
	assert_string_equal(arena_strdup(&a, "hello"), "hello");
	assert_string_equal(arena_strndup(&a, "hello", 2), "he");
	assert_string_equal(arena_strndup(&a, NULL, 0), "");
	arena_done(&a);
}

/* map */

#define MODEL_KEYS 400

static void map_agrees_with_a_naive_model(void **state)
{
	struct rng rng = {42};
	uint64_t keys[MODEL_KEYS], values[MODEL_KEYS] = {0};
	bool present[MODEL_KEYS] = {0};
	struct map m = MAP_INIT(300);
	size_t len = 0;

	/* Dense and sparse keys, 0 and the largest. */
	for (size_t i = 0; i < MODEL_KEYS; i++)
		keys[i] = i < 200 ? i : i == 200 ? UINT64_MAX : rng_next(&rng);
	for (unsigned step = 0; step < 200000; step++) {
		size_t k = rng_below(&rng, MODEL_KEYS);
		uint64_t v = rng_next(&rng), got = 1;
		/* Waves, so that the table is nearly full and nearly empty by turns. */
		unsigned puts = step / 5000 % 2 ? 3 : 7;
		unsigned what = (unsigned)rng_below(&rng, 10);

		if (what < puts) {
			int r = map_put(&m, keys[k], v);

			assert_int_equal(r, !present[k] && len == 300 ? -EMSGSIZE : 0);
			if (r == 0) {
				len += !present[k];
				present[k] = true;
				values[k] = v;
			}
		} else if (what < 9) {
			assert_int_equal(map_take(&m, keys[k], &got), present[k]);
			if (present[k])
				assert_true(got == values[k]);
			len -= present[k];
			present[k] = false;
		}
		assert_int_equal(m.len, len);
		k = rng_below(&rng, MODEL_KEYS);
		assert_int_equal(map_get(&m, keys[k], &got), present[k]);
		if (present[k])
			assert_true(got == values[k]);
		if (step % 1000 == 0)
			for (size_t i = 0; i < MODEL_KEYS; i++)
				assert_int_equal(map_get(&m, keys[i], NULL), present[i]);
	}
	map_clear(&m);
	assert_int_equal(m.len, 0);
	for (size_t i = 0; i < MODEL_KEYS; i++)
		assert_false(map_get(&m, keys[i], NULL));
	map_done(&m);
}

static void map_empty_and_full(void **state)
{
	struct map m = MAP_INIT(2), none = MAP_INIT(0);
	uint64_t v = 77;

	assert_false(map_get(&m, 0, &v));
	assert_false(map_take(&m, 0, &v));
	map_clear(&m);
	assert_int_equal(v, 77);
	assert_int_equal(map_put(&m, 0, 5), 0);
	assert_true(map_get(&m, 0, &v));
	assert_int_equal(v, 5);
	assert_int_equal(map_put(&m, 1, 6), 0);
	assert_int_equal(map_put(&m, 2, 7), -EMSGSIZE);
	assert_int_equal(map_put(&m, 0, 8), 0); /* replaces: no room needed */
	assert_true(map_take(&m, 0, &v));
	assert_int_equal(v, 8);
	assert_false(map_take(&m, 0, NULL));
	assert_int_equal(map_put(&m, 2, 7), 0);
	map_done(&m);
	map_done(NULL);
	assert_int_equal(map_put(&none, 1, 1), -EMSGSIZE);
	map_done(&none);
}

static void hashes_chain(void **state)
{
	assert_true(hash_bytes("ab", 2, 0) != hash_bytes("ab", 2, 1));
	assert_true(hash_bytes("ab", 2, 0) != hash_bytes("ba", 2, 0));
	assert_true(hash_bytes("", 0, 0) != hash_bytes("\0", 1, 0));
	assert_true(hash_bytes("ab", 2, 9) == hash_bytes("ab", 2, 9));
	assert_true(hash_u64(0, 0) != hash_u64(0, 1));
	assert_true(hash_u64(1, 2) != hash_u64(2, 1));
}

/* json */

static void json_is_string(const char *in, const char *want)
{
	struct buf b = BUF_INIT(1000);
	struct json j;

	json_init(&j, &b);
	json_string(&j, in);
	assert_int_equal(json_finish(&j), 0);
	assert_string_equal(b.data, want);
	buf_done(&b);
}

static void json_escapes(void **state)
{
	json_is_string("", "\"\"");
	json_is_string("a\"b\\c/", "\"a\\\"b\\\\c/\"");
	json_is_string(
		"\n\t\r\b\x01\x1f\x7f", "\"\\u000a\\u0009\\u000d\\u0008\\u0001\\u001f\x7f\"");
	json_is_string(NULL, "null");
}

#define BAD "\xef\xbf\xbd"

static void json_replaces_what_is_not_utf8(void **state)
{
	/* Valid: the borders of each length. */
	json_is_string("\xc2\x80\xdf\xbf", "\"\xc2\x80\xdf\xbf\"");
	json_is_string("\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf",
		"\"\xe0\xa0\x80\xed\x9f\xbf\xee\x80\x80\xef\xbf\xbf\"");
	json_is_string("\xf0\x90\x80\x80\xf4\x8f\xbf\xbf", "\"\xf0\x90\x80\x80\xf4\x8f\xbf\xbf\"");
	/* A lone continuation, overlong forms, surrogates, past U+10FFFF, never-bytes. */
	json_is_string("\x80", "\"" BAD "\"");
	json_is_string("\xbf"
		       "a",
		"\"" BAD "a\"");
	json_is_string("\xc0\xaf", "\"" BAD BAD "\"");
	json_is_string("\xc1\xbf", "\"" BAD BAD "\"");
	json_is_string("\xe0\x9f\xbf", "\"" BAD BAD BAD "\"");
	json_is_string("\xed\xa0\x80", "\"" BAD BAD BAD "\"");
	json_is_string("\xf0\x8f\xbf\xbf", "\"" BAD BAD BAD BAD "\"");
	json_is_string("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\"");
	json_is_string("\xf5\x80", "\"" BAD BAD "\"");
	json_is_string("\xfe\xff", "\"" BAD BAD "\"");
	/* Cut off: at the end, and by another character. */
	json_is_string("\xc3", "\"" BAD "\"");
	json_is_string("\xe2\x82", "\"" BAD BAD "\"");
	json_is_string("\xf0\x9f\x98", "\"" BAD BAD BAD "\"");
	json_is_string("\xc3(", "\"" BAD "(\"");
	json_is_string("\xe2\x82\"", "\"" BAD BAD "\\\"\"");
	json_is_string("\xf0\x9f\x98\xc3\xa4", "\"" BAD BAD BAD "\xc3\xa4\"");
}

static void json_numbers(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct json j;

	json_init(&j, &b);
	json_array(&j);
	json_u64(&j, UINT64_MAX);
	json_i64(&j, INT64_MIN);
	json_double(&j, NAN);
	json_double(&j, INFINITY);
	json_double(&j, -INFINITY);
	json_double(&j, 0.5);
	json_double(&j, 1e300);
	json_bool(&j, true);
	json_bool(&j, false);
	json_time(&j, 0);
	json_time(&j, 1);
	json_array_end(&j);
	assert_int_equal(json_finish(&j), 0);
	assert_string_equal(b.data,
		"[18446744073709551615,-9223372036854775808,null,null,null,0.5,1e+300,true,false,"
		"null,\"1970-01-01T00:00:00.000Z\"]");
	buf_done(&b);
}

static void json_commas(void **state)
{
	struct buf b = BUF_INIT(1000);
	struct json j;

	json_init(&j, &b);
	json_object(&j);
	json_kv(&j, u64, "a", 1);
	json_key(&j, "b");
	json_array(&j);
	json_object(&j);
	json_object_end(&j);
	json_array(&j);
	json_array_end(&j);
	json_null(&j);
	json_array_end(&j);
	json_key(&j, "c\"");
	json_object(&j);
	json_kv(&j, string, "d", NULL);
	json_object_end(&j);
	json_kv(&j, double, "e", NAN);
	json_object_end(&j);
	assert_int_equal(json_finish(&j), 0);
	assert_string_equal(
		b.data, "{\"a\":1,\"b\":[{},[],null],\"c\\\"\":{\"d\":null},\"e\":null}");
	buf_done(&b);
}

static int json_brackets(const char *ops)
{
	struct buf b = BUF_INIT(1000);
	struct json j;
	int r;

	json_init(&j, &b);
	for (; *ops; ops++) {
		if (*ops == '{')
			json_object(&j);
		else if (*ops == '}')
			json_object_end(&j);
		else if (*ops == '[')
			json_array(&j);
		else if (*ops == ']')
			json_array_end(&j);
		else if (*ops == 'k')
			json_key(&j, "k");
		else
			json_u64(&j, 1);
	}
	r = json_finish(&j);
	if (r == 0)
		assert_int_equal(json_finish(&j), 0);
	buf_done(&b);
	return r;
}

static void json_checks_its_nesting(void **state)
{
	static const char *const bad[] = {"{", "[", "[[]", "{k", "{k}", "}", "]", "[}", "{]", "k",
		"[k1]", "{kk1}", "[]]", "{k[}", "{k[1}]"};
	static const char *const good[] = {"[]", "{}", "{k1}", "{k[1]}", "[{k1}{k1}1]", "1"};
	char deep[100];

	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(json_brackets(bad[i]), -EINVAL);
	for (size_t i = 0; i < COUNT(good); i++)
		assert_int_equal(json_brackets(good[i]), 0);
	memset(deep, '[', 32);
	memset(deep + 32, ']', 32);
	deep[64] = 0;
	assert_int_equal(json_brackets(deep), 0);
	memset(deep, '[', 33);
	memset(deep + 33, ']', 33);
	deep[66] = 0;
	assert_int_equal(json_brackets(deep), -EINVAL);
}

/* "Nesting is checked": a value without a key in an object is no JSON. */
static void json_refuses_a_value_without_a_key(void **state)
{
	assert_int_equal(json_brackets("{1}"), -EINVAL);
	assert_int_equal(json_brackets("{[]}"), -EINVAL);
	assert_int_equal(json_brackets("{k11}"), -EINVAL);
}

static void json_first_failure_sticks(void **state)
{
	struct buf b = BUF_INIT(10);
	struct json j;

	json_init(&j, &b);
	json_array(&j);
	json_string(&j, "much longer than ten bytes");
	json_object_end(&j); /* another failure, which must not hide the first */
	json_array_end(&j);
	assert_int_equal(json_finish(&j), -EMSGSIZE);
	buf_done(&b);
}

/* units */

static void units_integers(void **state)
{
	uint64_t v = 99;

	assert_int_equal(parse_u64("0", &v), 0);
	assert_int_equal(v, 0);
	assert_int_equal(parse_u64("18446744073709551615", &v), 0);
	assert_true(v == UINT64_MAX);
	assert_int_equal(parse_u64("00000000000000000000000000012", &v), 0);
	assert_int_equal(v, 12);
	v = 99;
	assert_int_equal(parse_u64("18446744073709551616", &v), -ERANGE);
	assert_int_equal(parse_u64("99999999999999999999999", &v), -ERANGE);
	assert_int_equal(parse_u64("", &v), -EINVAL);
	assert_int_equal(parse_u64("-1", &v), -EINVAL);
	assert_int_equal(parse_u64("+1", &v), -EINVAL);
	assert_int_equal(parse_u64(" 1", &v), -EINVAL);
	assert_int_equal(parse_u64("1 ", &v), -EINVAL);
	assert_int_equal(parse_u64("0x10", &v), -EINVAL);
	assert_int_equal(parse_u64("1e3", &v), -EINVAL);
	assert_int_equal(v, 99);
}

static void units_sizes(void **state)
{
	static const struct {
		const char *s;
		uint64_t want;
	} good[] = {
		{"0", 0},
		{"4096", 4096},
		{"64K", 65536},
		{"64KiB", 65536},
		{"1B", 1},
		{"1.5G", 1610612736},
		{"2T", UINT64_C(2) << 40},
		{".5M", 524288},
		{"0.25K", 256},
		{"9007199254740992", UINT64_C(1) << 53},
		{"8388607T", UINT64_C(8388607) << 40},
	};
	static const char *const bad[] = {"", ".", "K", "-1", "+1", " 1", "1 ", "1 K", "1k", "1KB",
		"1,5M", "1.2.3K", "0x10", "1e3", "inf", "nan", "1MM", "..5"};
	uint64_t v;

	for (size_t i = 0; i < COUNT(good); i++) {
		v = 99;
		assert_int_equal(parse_size(good[i].s, &v), 0);
		if (v != good[i].want)
			print_error("%s: %" PRIu64 "\n", good[i].s, v);
		assert_true(v == good[i].want);
	}
	v = 99;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse_size(bad[i], &v), -EINVAL);
	assert_int_equal(parse_size("20000000T", &v), -ERANGE);
	assert_int_equal(parse_size("99999999999999999999999999999", &v), -ERANGE);
	assert_true(v == 99);
}

/* No overflow: what is above 2^63 and below 2^64 is either right or out of range. */
static void units_sizes_above_two_to_the_63(void **state)
{
	uint64_t v = 99;
	int r = parse_size("16000000000000000000", &v);

	assert_true(r == 0 || r == -ERANGE);
	if (r == 0)
		assert_true(v == UINT64_C(16000000000000000000));
	v = 99;
	r = parse_size("10000000T", &v);
	assert_true(r == 0 || r == -ERANGE);
	assert_true(v == (r == 0 ? UINT64_C(10000000) << 40 : 99));
}

static void units_many_decimals(void **state)
{
	char s[512];
	uint64_t v = 99;

	memset(s, '0', sizeof(s));
	memcpy(s, "1.", 2);
	s[500] = 0;
	assert_int_equal(parse_size(s, &v), 0);
	assert_int_equal(v, 1);
}

static void units_durations(void **state)
{
	static const struct {
		const char *s;
		uint64_t want;
	} good[] = {
		{"0s", 0},
		{"250ms", 250000000},
		{"90s", UINT64_C(90000000000)},
		{"5m", UINT64_C(300000000000)},
		{"5min", UINT64_C(300000000000)},
		{"1.5h", UINT64_C(5400000000000)},
		{"7d", UINT64_C(604800000000000)},
	};
	static const char *const bad[] = {
		"", "90", "s", "-1s", "1us", "1S", "1 s", "1sec", "1h30m", "1w"};
	uint64_t v;

	for (size_t i = 0; i < COUNT(good); i++) {
		assert_int_equal(parse_duration(good[i].s, &v), 0);
		assert_true(v == good[i].want);
	}
	v = 99;
	for (size_t i = 0; i < COUNT(bad); i++)
		assert_int_equal(parse_duration(bad[i], &v), -EINVAL);
	assert_int_equal(parse_duration("999999999d", &v), -ERANGE);
	assert_true(v == 99);
}

static void units_printing(void **state)
{
	char b[UNITS_BYTES_MAX], d[UNITS_DURATION_MAX], t[UNITS_TIME_MAX];

	assert_string_equal(units_bytes(0, b), "0 B");
	assert_string_equal(units_bytes(1023, b), "1023 B");
	assert_string_equal(units_bytes(1024, b), "1.0 KiB");
	assert_string_equal(units_bytes(1572864, b), "1.5 MiB");
	assert_string_equal(units_bytes(102297, b), "99.9 KiB");
	assert_string_equal(units_bytes(102400, b), "100 KiB");
	assert_string_equal(units_bytes((UINT64_C(1) << 20) - 1, b), "1.0 MiB");
	assert_string_equal(units_bytes(UINT64_MAX, b), "16.0 EiB");
	assert_string_equal(units_duration(0, d), "0ms");
	assert_string_equal(units_duration(999999999, d), "999ms");
	assert_string_equal(units_duration(NSEC_PER_SEC * 3 / 2, d), "1.5s");
	assert_string_equal(units_duration(60 * NSEC_PER_SEC, d), "1m 0s");
	assert_string_equal(units_duration(3900 * NSEC_PER_SEC, d), "1h 5m");
	assert_string_equal(units_duration(90000 * NSEC_PER_SEC, d), "1d 1h");
	assert_true(strlen(units_duration(UINT64_MAX, d)) < UNITS_DURATION_MAX);
	assert_string_equal(units_time(0, t), "1970-01-01T00:00:00.000Z");
	assert_string_equal(
		units_time(UINT64_C(1709210096789999999), t), "2024-02-29T12:34:56.789Z");
	assert_string_equal(units_time(UINT64_MAX, t), "2554-07-21T23:34:33.709Z");
}

/* config */

struct settings {
	const char *name;
	uint64_t size, wait, count;
	bool on;
};

static const struct config_key keys[] = {
	{"agent", "name", CONFIG_STRING, offsetof(struct settings, name), "nobody", NULL, NULL,
		"h"},
	{"agent", "size", CONFIG_SIZE, offsetof(struct settings, size), "1M", "64K", "2G", "h"},
	{"agent", "wait", CONFIG_DURATION, offsetof(struct settings, wait), "10s", "1s", "1h", "h"},
	{"server", "count", CONFIG_NUMBER, offsetof(struct settings, count), "5", NULL, "10", "h"},
	{"server", "on", CONFIG_BOOL, offsetof(struct settings, on), "no", NULL, NULL, "h"},
	{NULL},
};

static int parse(struct settings *s, struct config *c, const char *text, struct err *err)
{
	*err = ERR_INIT;
	memset(s, 0xa5, sizeof(*s));
	assert_int_equal(config_init(c, keys, s, err), 0);
	return config_parse(c, text, "x.conf", err);
}

static void config_defaults_and_values(void **state)
{
	struct settings s;
	struct config c;
	struct err err;

	assert_int_equal(parse(&s, &c, "", &err), 0);
	assert_string_equal(s.name, "nobody");
	assert_int_equal(s.size, 1 << 20);
	assert_true(s.wait == 10 * NSEC_PER_SEC);
	assert_int_equal(s.count, 5);
	assert_false(s.on);
	config_done(&c);
	assert_int_equal(
		parse(&s, &c,
			"# c\n; c\n\n  [agent]\r\n\tname =  a b = c  \r\nsize=64K\nsize=2G\n"
			"name=\n[server]\non = yes\ncount=10",
			&err),
		0);
	assert_string_equal(s.name, "");
	assert_true(s.size == UINT64_C(2) << 30);
	assert_int_equal(s.count, 10);
	assert_true(s.on);
	config_done(&c);
	config_done(&c);
	config_done(NULL);
	assert_int_equal(parse(&s, &c, "[agent]\nname =  a b = c  \n", &err), 0);
	assert_string_equal(s.name, "a b = c");
	config_done(&c);
}

static void config_rejects(void **state)
{
	static const struct {
		const char *text, *says;
		int code;
	} cases[] = {
		{"[agent]\nsiez = 1M",
			"x.conf:2: unknown key 'siez' in [agent]; did you mean 'size'", -ENOENT},
		{"[server]\nsize = 1M", "did you mean 'size' in [agent]", -ENOENT},
		{"[agent]\nentirely_different = 1", "lists the keys", -ENOENT},
		{"size = 1M", "did you mean 'size' in [agent]", -ENOENT},
		{"[nowhere]\nxxxxxxxxxx = 1", "[nowhere]", -ENOENT},
		{"[agent]\n\nsize = 63K", "x.conf:3: size = 63K is below the least allowed, 64K",
			-ERANGE},
		{"[agent]\nsize = 2.1G", "above the most allowed, 2G", -ERANGE},
		{"[agent]\nsize = big", "is not a size", -EINVAL},
		{"[agent]\nsize =", "is not a size", -EINVAL},
		{"[agent]\nwait = 10", "is not a duration", -EINVAL},
		{"[agent]\nwait = 999ms", "below", -ERANGE},
		{"[server]\ncount = 11", "above", -ERANGE},
		{"[server]\ncount = 1K", "whole number", -EINVAL},
		{"[server]\ncount = -1", "whole number", -EINVAL},
		{"[server]\non = maybe", "yes or no", -EINVAL},
		{"[server]\non", "expected 'key = value'", -EINVAL},
		{"[server", "is not a [section]", -EINVAL},
		{"[]", "is not a [section]", -EINVAL},
		{"[agent]\nsize = 1M\n]", "x.conf:3:", -EINVAL},
	};

	for (size_t i = 0; i < COUNT(cases); i++) {
		struct settings s;
		struct config c;
		struct err err;

		assert_int_equal(parse(&s, &c, cases[i].text, &err), cases[i].code);
		assert_int_equal(err.code, cases[i].code);
		if (!strstr(err.msg, cases[i].says))
			print_error("case %zu says: %s\n", i, err.msg);
		assert_non_null(strstr(err.msg, cases[i].says));
		if (cases[i].code == -ERANGE)
			assert_true(
				s.size == 1 << 20 && s.wait == 10 * NSEC_PER_SEC && s.count == 5);
		config_done(&c);
	}
}

static int parse_line_of(size_t n)
{
	char *text = malloc(n + 100);
	struct settings s;
	struct config c;
	struct err err;
	int r, at = sprintf(text, "[agent]\n");

	memset(text + at, 'x', n);
	memcpy(text + at, "name=", 5);
	strcpy(text + at + n, "\n[server]\non=1\n");
	r = parse(&s, &c, text, &err);
	if (r == 0) {
		assert_int_equal(strlen(s.name), n - 5);
		assert_true(s.on);
	} else {
		assert_non_null(strstr(err.msg, "x.conf:2: line is longer"));
	}
	config_done(&c);
	free(text);
	return r;
}

static void config_long_lines(void **state)
{
	assert_int_equal(parse_line_of(4095), 0);
	assert_int_equal(parse_line_of(4097), -EINVAL);
	assert_int_equal(parse_line_of(100000), -EINVAL);
}

/* "A line is at most 4,096 bytes." */
static void config_line_of_4096_bytes(void **state)
{
	assert_int_equal(parse_line_of(4096), 0);
}

static void config_files_and_drop_ins(void **state)
{
	struct folder f;
	struct settings s;
	struct config c;
	struct err err = ERR_INIT;
	const char *path;

	folder_make(&f);
	path = folder_path(&f, "resin.conf");
	assert_int_equal(config_init(&c, keys, &s, &err), 0);
	assert_int_equal(config_read(&c, path, false, &err), 0);
	assert_int_equal(config_read(&c, path, true, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "does not exist"));
	folder_write(&f, "resin.conf", "[agent]\nname=main\nsize=1M\nwait=2s\n[server]\ncount=1\n");
	folder_write(&f, "resin.conf.d/10-a.conf", "[agent]\nname=ten\nsize=2M\n");
	folder_write(&f, "resin.conf.d/20-b.conf", "[agent]\nname=twenty\n");
	folder_write(&f, "resin.conf.d/30-ignored.txt", "[agent]\nname=ignored\n");
	folder_write(&f, "resin.conf.d/.hidden.conf", "[agent]\nname=hidden\n");
	folder_write(&f, "resin.conf.d/90.conf~", "garbage");
	folder_write(&f, "resin.conf.d/05-empty.conf", "");
	assert_int_equal(config_read(&c, folder_path(&f, "resin.conf"), true, &err), 0);
	assert_string_equal(s.name, "twenty");
	assert_int_equal(s.size, 2 << 20);
	assert_true(s.wait == 2 * NSEC_PER_SEC);
	assert_int_equal(s.count, 1);
	folder_write(&f, "resin.conf.d/15-bad.conf", "[agent]\n\nnaem=x\n");
	assert_int_equal(config_read(&c, folder_path(&f, "resin.conf"), true, &err), -ENOENT);
	assert_non_null(strstr(err.msg, "15-bad.conf:3"));
	config_done(&c);
	folder_remove(&f);
}

static void config_files_that_are_no_text(void **state)
{
	struct folder f;
	struct settings s;
	struct config c;
	struct err err = ERR_INIT;
	char *big = malloc(LIMIT_CONFIG_BYTES + 1);
	struct buf b = BUF_INIT(LIMIT_CONFIG_BYTES);

	folder_make(&f);
	assert_int_equal(config_init(&c, keys, &s, &err), 0);
	folder_write_bytes(&f, "nul", "[agent]\nname=a\0b\n", 17);
	assert_int_equal(config_read(&c, folder_path(&f, "nul"), true, &err), -EINVAL);
	assert_non_null(strstr(err.msg, "NUL"));
	memset(big, '\n', LIMIT_CONFIG_BYTES + 1);
	folder_write_bytes(&f, "big", big, LIMIT_CONFIG_BYTES + 1);
	assert_int_equal(config_read(&c, folder_path(&f, "big"), true, &err), -EMSGSIZE);
	assert_int_equal(config_read(&c, f.path, true, &err), -EISDIR);
	assert_int_equal(config_read_file(folder_path(&f, "none"), &b, &err), 1);
	free(big);
	buf_done(&b);
	config_done(&c);
	folder_remove(&f);
}

/* err, clock, fault */

static void err_wrap_prefixes(void **state)
{
	struct err err = ERR_INIT;
	char longer[500];

	assert_int_equal(err_set(&err, -EIO, "disk %d", 7), -EIO);
	assert_string_equal(err.msg, "disk 7");
	assert_non_null(strstr(err.file, "test-base.c"));
	assert_int_equal(err_wrap(&err, "store %s", "a"), -EIO);
	assert_string_equal(err.msg, "store a: disk 7");
	assert_int_equal(err_set(NULL, -EIO, "x"), -EIO);
	(void)err_wrap(NULL, "x");
	memset(longer, 'p', sizeof(longer));
	longer[499] = 0;
	assert_int_equal(err_wrap(&err, "%s", longer), -EIO);
	assert_int_equal(strlen(err.msg), sizeof(err.msg) - 1);
	longer[300] = 0;
	err_set(&err, -EPERM, "tail");
	assert_int_equal(err_wrap(&err, "%s", longer), -EPERM);
	assert_string_equal(err.msg + 300, ": tail");
	err_set(&err, -EPERM, "%s", "0123456789012345678901234567890");
	longer[299] = 0;
	(void)err_wrap(&err, "%s", longer);
	assert_string_equal(err.msg + 299, ": 012345678901234567");
}

static void clock_runs(void **state)
{
	uint64_t a = clock_mono_ns(&clock_system), b = clock_mono_ns(&clock_system);

	assert_true(a > 0 && b >= a);
	assert_true(clock_unix_ns(&clock_system) > UINT64_C(1600000000000000000));
}

static void fault_points_by_name(void **state)
{
	int status;
	pid_t pid;

	assert_false(fault_fails("a"));
	setenv("RESIN_FAULT", "a.b:fail", 1);
	assert_true(fault_fails("a.b"));
	assert_false(fault_fails("a"));
	assert_false(fault_fails("a.b:"));
	assert_false(fault_fails("a.bc"));
	fault_point("a.b");
	setenv("RESIN_FAULT", "a.b:kill", 1);
	assert_false(fault_fails("a.b"));
	pid = fork();
	if (pid == 0) {
		fault_point("a.b");
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	unsetenv("RESIN_FAULT");
}

/* torture */

static int work_buf(void)
{
	struct buf b = BUF_INIT(100000);
	int r = 0;

	for (int i = 0; i < 200 && r == 0; i++)
		r = i % 2 ? buf_add(&b, "0123456789", 10) : buf_printf(&b, "%040d", i);
	buf_done(&b);
	return r;
}

static int work_array(void)
{
	int *v = NULL;
	size_t cap = 0;
	int r = 0;

	for (size_t n = 1; n < 500 && r == 0; n++)
		r = array_reserve(&v, &cap, n, sizeof(*v), 1000);
	free(v);
	return r;
}

static int work_map(void)
{
	struct map m = MAP_INIT(2000);
	size_t put = 0;
	int r = 0;

	for (uint64_t k = 0; k < 1000 && r == 0; k++) {
		r = map_put(&m, k * 977, k);
		put += r == 0;
	}
	if (m.len != put)
		r = -EIO;
	for (uint64_t k = 0; k < put; k++)
		if (!map_get(&m, k * 977, NULL))
			r = -EIO; /* a failure to grow must lose nothing */
	map_done(&m);
	return r;
}

static int work_arena(void)
{
	struct arena a = ARENA_INIT(1u << 20);
	int r = 0;

	for (int i = 0; i < 40 && r == 0; i++)
		r = arena_alloc(&a, 10000) && arena_strdup(&a, "x") ? 0 : -ENOMEM;
	arena_done(&a);
	return r;
}

static int work_json(void)
{
	struct buf b = BUF_INIT(100000);
	struct json j;
	int r;

	json_init(&j, &b);
	json_array(&j);
	for (int i = 0; i < 300; i++)
		json_string(&j, "some text");
	json_array_end(&j);
	r = json_finish(&j);
	buf_done(&b);
	return r;
}

static struct folder torture_folder;

static int work_config(void)
{
	struct settings s;
	struct config c;
	struct err err = ERR_INIT;
	int r = config_init(&c, keys, &s, &err);

	if (r == 0)
		r = config_read(&c, folder_path(&torture_folder, "c"), true, &err);
	if (r < 0 && err.code != r)
		r = -EIO; /* the error must be described */
	config_done(&c);
	return r;
}

static void torture_base(void **state)
{
	assert_true(torture_run(work_buf) > 3);
	assert_true(torture_run(work_array) > 3);
	assert_true(torture_run(work_map) > 3);
	assert_true(torture_run(work_arena) > 3);
	assert_true(torture_run(work_json) > 3);
}

static void torture_config(void **state)
{
	folder_make(&torture_folder);
	folder_write(&torture_folder, "c", "[agent]\nname=a\nname=b\nsize=1M\n");
	folder_write(&torture_folder, "c.d/1.conf", "[agent]\nname=c\n");
	assert_true(torture_run(work_config) > 5);
	folder_remove(&torture_folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buf_takes_its_limit_and_no_byte_more),
		cmocka_unit_test(buf_with_limit_zero_holds_nothing),
		cmocka_unit_test(buf_printf_at_the_limit),
		cmocka_unit_test(buf_consume_moves_the_rest),
		cmocka_unit_test(buf_read_fd_reads_to_the_end),
		cmocka_unit_test(buf_read_fd_refuses_more_than_the_ceiling),
		cmocka_unit_test(buf_read_fd_takes_exactly_the_ceiling),
		cmocka_unit_test(array_grows_to_its_ceiling),
		cmocka_unit_test(array_reserve_does_not_overflow),
		cmocka_unit_test(arena_is_capped_zeroed_and_aligned),
		cmocka_unit_test(arena_arrays_and_strings),
		cmocka_unit_test(map_agrees_with_a_naive_model),
		cmocka_unit_test(map_empty_and_full),
		cmocka_unit_test(hashes_chain),
		cmocka_unit_test(json_escapes),
		cmocka_unit_test(json_replaces_what_is_not_utf8),
		cmocka_unit_test(json_numbers),
		cmocka_unit_test(json_commas),
		cmocka_unit_test(json_checks_its_nesting),
		cmocka_unit_test(json_refuses_a_value_without_a_key),
		cmocka_unit_test(json_first_failure_sticks),
		cmocka_unit_test(units_integers),
		cmocka_unit_test(units_sizes),
		cmocka_unit_test(units_sizes_above_two_to_the_63),
		cmocka_unit_test(units_many_decimals),
		cmocka_unit_test(units_durations),
		cmocka_unit_test(units_printing),
		cmocka_unit_test(config_defaults_and_values),
		cmocka_unit_test(config_rejects),
		cmocka_unit_test(config_long_lines),
		cmocka_unit_test(config_line_of_4096_bytes),
		cmocka_unit_test(config_files_and_drop_ins),
		cmocka_unit_test(config_files_that_are_no_text),
		cmocka_unit_test(err_wrap_prefixes),
		cmocka_unit_test(clock_runs),
		cmocka_unit_test(fault_points_by_name),
		cmocka_unit_test(torture_base),
		cmocka_unit_test(torture_config),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}

/* t_store.c - the .mill file gives back what was written, and nothing that was not. */
#include "lib/test.h"

#include "base/file.h"
#include "base/mem.h"
#include "table/store.h"

#include <unistd.h>

static char path[64];

static const char *temp_path(void)
{
    snprintf(path, sizeof path, "/tmp/t_store-%d.mill", (int)getpid());
    return path;
}

static const float weights[6] = {1.5f, -2, 0, 3e30f, -0.0f, 7};
static const uint8_t bytes[3] = {1, 2, 255};

static void write_sample(const char *to, bool reversed)
{
    store_writer *w;
    const int64_t two[2] = {2, 3}, one[1] = {3}, none[2] = {0, 5};
    json_t *meta = json_pack("{s:s, s:f}", "kind", "test", "rate", 0.1);

    assert_ok(store_writer_new(&w));
    if (reversed) assert_ok(store_writer_add(w, "b/bytes", STORE_U8, 1, one, bytes));
    assert_ok(store_writer_add(w, "a/weights", STORE_F32, 2, two, weights));
    if (!reversed) assert_ok(store_writer_add(w, "b/bytes", STORE_U8, 1, one, bytes));
    assert_ok(store_writer_add(w, "empty", STORE_I64, 2, none, NULL));
    assert_ok(store_writer_add(w, "scalar", STORE_U16, 0, NULL, bytes));
    assert_ok(store_writer_commit(w, to, meta));
    store_writer_free(w);
    json_decref(meta);
}

void test_store__gives_back_tensors_and_meta(void **state)
{
    store *s;
    const store_tensor *t;
    const int64_t any[2] = {-1, 3}, wrong[2] = {2, 4};

    (void)state;
    write_sample(temp_path(), false);
    assert_ok(store_open(&s, path));
    assert_int_equal(store_n_tensors(s), 4);
    assert_string_equal(json_string_value(json_object_get(store_meta(s), "kind")), "test");
    assert_true(json_real_value(json_object_get(store_meta(s), "rate")) == 0.1);
    assert_ok(store_get(&t, s, "a/weights", STORE_F32, 2, any));
    assert_memory_equal(t->data, weights, sizeof weights);
    assert_int_equal((uintptr_t)t->data % 64, 0);
    t = store_find(s, "b/bytes");
    assert_int_equal(t->bytes, 3);
    assert_memory_equal(t->data, bytes, 3);
    assert_int_equal(store_find(s, "scalar")->rank, 0);
    assert_int_equal(store_find(s, "scalar")->bytes, 2);
    assert_int_equal(store_find(s, "empty")->bytes, 0);
    assert_null(store_find(s, "weights"));
    assert_fails(MILL_EINPUT, "a/weights", store_get(&t, s, "a/weights", STORE_F32, 2, wrong));
    assert_fails(MILL_EINPUT, "a/weights", store_get(&t, s, "a/weights", STORE_I32, 2, any));
    assert_fails(MILL_EINPUT, "no tensor \"z\"", store_get(&t, s, "z", STORE_F32, 2, any));
    store_close(s);
    unlink(path);
}

void test_store__same_content_gives_same_bytes(void **state)
{
    char *first, *second;
    size_t n_first, n_second;

    (void)state;
    write_sample(temp_path(), false);
    assert_ok(file_read_all(&first, &n_first, path));
    write_sample(path, false);
    assert_ok(file_read_all(&second, &n_second, path));
    assert_int_equal(n_first, n_second);
    assert_memory_equal(first, second, n_first);
    mill_free(first);
    mill_free(second);
    unlink(path);
}

void test_store__hash_knows_content_and_not_layout(void **state)
{
    char plain[33], reversed[33], other[33];
    store *s;
    store_writer *w;
    const int64_t flat[1] = {6};

    (void)state;
    write_sample(temp_path(), false);
    assert_ok(store_open(&s, path));
    assert_ok(store_hash(plain, s));
    store_close(s);
    write_sample(path, true);
    assert_ok(store_open(&s, path));
    assert_ok(store_hash(reversed, s));
    store_close(s);
    assert_string_equal(plain, reversed);
    assert_int_equal(strlen(plain), 32);

    assert_ok(store_writer_new(&w));
    assert_ok(store_writer_add(w, "a/weights", STORE_F32, 1, flat, weights)); /* another shape */
    assert_ok(store_writer_commit(w, path, NULL));
    store_writer_free(w);
    assert_ok(store_open(&s, path));
    assert_ok(store_hash(other, s));
    store_close(s);
    assert_string_not_equal(plain, other);
    unlink(path);
}

void test_store__every_flipped_byte_and_every_cut_is_refused(void **state)
{
    char *text;
    size_t n;
    store *s;

    (void)state;
    write_sample(temp_path(), false);
    assert_ok(file_read_all(&text, &n, path));
    for (size_t i = 0; i < n; i++) {
        text[i] ^= 0x10;
        assert_ok(file_write_all(path, text, n));
        assert_int_equal(store_open(&s, path), MILL_EINPUT);
        assert_non_null(strstr(mill_error(), path));
        text[i] ^= 0x10;
    }
    for (size_t k = 0; k < n; k += 7) {
        assert_ok(file_write_all(path, text, k));
        assert_int_equal(store_open(&s, path), MILL_EINPUT);
    }
    mill_free(text);
    unlink(path);
}

void test_store__damaged_tensor_is_named_with_its_offset(void **state)
{
    char *text;
    size_t n;
    store *s;

    (void)state;
    write_sample(temp_path(), false);
    assert_ok(store_open(&s, path));
    const store_tensor *t = store_find(s, "b/bytes");
    const size_t at = (size_t)((const char *)t->data - (const char *)store_tensor_at(s, 0)->data);
    store_close(s);
    assert_ok(file_read_all(&text, &n, path));
    for (size_t i = n - 9; i > 0; i--) /* the tensor's bytes are the last 1 2 255 */
        if (text[i] == (char)255 && text[i - 1] == 2) {
            text[i] = 3;
            break;
        }
    assert_ok(file_write_all(path, text, n));
    assert_fails(MILL_EINPUT, "tensor \"b/bytes\" at offset", store_open(&s, path));
    assert_int_equal(at % 64, 0);
    mill_free(text);
    unlink(path);
}

void test_store__refuses_bad_tensors(void **state)
{
    store_writer *w;
    const int64_t huge[2] = {INT64_MAX, 4}, negative[1] = {-1}, one[1] = {1};

    (void)state;
    assert_ok(store_writer_new(&w));
    assert_ok(store_writer_add(w, "x", STORE_U8, 1, one, bytes));
    assert_fails(MILL_EINPUT, "two tensors", store_writer_add(w, "x", STORE_U8, 1, one, bytes));
    assert_fails(MILL_ESHAPE, "\"y\"", store_writer_add(w, "y", STORE_F32, 2, huge, bytes));
    assert_fails(MILL_ESHAPE, "\"y\"", store_writer_add(w, "y", STORE_U8, 1, negative, bytes));
    assert_fails(MILL_EINPUT, "name", store_writer_add(w, "", STORE_U8, 1, one, bytes));
    store_writer_free(w);
}

/* A header that lies: sizes, overlaps and bounds are checked before anything is used. */
static void assert_header_refused(const char *header, const char *part)
{
    char file[1024] = "TABMILL1";
    const uint64_t h = 432;
    store *s;

    memset(file + 16, ' ', h);
    memcpy(file + 8, &h, 8);
    /* NOLINTBEGIN(bugprone-not-null-terminated-result): lengths say where they end */
    memcpy(file + 16, header, strlen(header));
    const size_t data = 16 + h, end = data + 128;
    const uint32_t crc = mill_crc32c(0, file, end);
    memcpy(file + end, &crc, 4);
    memcpy(file + end + 4, "LLIM", 4);
    /* NOLINTEND(bugprone-not-null-terminated-result) */
    assert_ok(file_write_all(temp_path(), file, end + 8));
    assert_fails(MILL_EINPUT, part, store_open(&s, path));
    unlink(path);
}

#define TENSOR(name, dim, offset, bytes)                                                        \
    "\"" name "\":{\"dtype\":\"U8\",\"shape\":[" dim "],\"offset\":" offset ",\"bytes\":" bytes \
    ",\"crc32c\":"
#define HEADER(tensors) "{\"format\":1,\"meta\":{},\"tensors\":{" tensors "}}"

void test_store__lying_headers_are_refused(void **state)
{
    char crc[64][16], text[512];
    static const char zeros[128];

    (void)state;
    snprintf(crc[0], sizeof crc[0], "%u}", mill_crc32c(0, zeros, 64));
    assert_header_refused(HEADER(TENSOR("t", "65", "448", "64") "0}"), "does not fit its shape");
    assert_header_refused(HEADER(TENSOR("t", "64", "449", "64") "0}"), "outside");
    assert_header_refused(HEADER(TENSOR("t", "64", "0", "64") "0}"), "outside");
    assert_header_refused(HEADER(TENSOR("t", "64", "640", "64") "0}"), "outside");
    assert_header_refused(HEADER(TENSOR("t", "129", "448", "129") "0}"), "outside");
    assert_header_refused(HEADER(TENSOR("t", "-1", "448", "64") "0}"), "bad shape");
    assert_header_refused(HEADER(TENSOR("t", "4294967296,4294967296,2", "448", "0") "0}"),
                          "does not fit");
    assert_header_refused("{\"format\":2,\"meta\":{},\"tensors\":{}}", "format");
    assert_header_refused("{\"format\":1,\"meta\":[],\"tensors\":{}}", "meta");
    assert_header_refused("{\"format\":1,\"meta\":{},\"tensors\":{}", "header");
    assert_header_refused(HEADER("\"t\":{\"dtype\":\"F8\",\"shape\":[]}"), "dtype");
    snprintf(text, sizeof text,
             HEADER(TENSOR("t", "64", "448", "64") "%s," TENSOR("u", "64", "448", "64") "%s"),
             crc[0], crc[0]);
    assert_header_refused(text, "overlaps");
}

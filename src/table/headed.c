/* headed.c - a file whose first bytes are known last (headed.h). */
#include "table/headed.h"

#include "base/mem.h"

#include <string.h>

enum { WRITEBACK = 8 << 20 }; /* bytes between hints: the last fsync then has little left to do */

mill_err headed_create(headed_file *h, const char *path, size_t head)
{
    *h = (headed_file){.head = head};
    char *zeros = mill_alloc(head ? head : 1, 1);
    if (!zeros) return MILL_ENOMEM;
    mill_err err = file_create_atomic(&h->f, path);
    if (!err) err = file_write(h->f, zeros, head);
    mill_free(zeros);
    if (err) headed_close(h);
    return err;
}

mill_err headed_write(headed_file *h, const void *p, size_t n)
{
    if (!n) return MILL_OK;
    h->crc = mill_crc32c(h->crc, p, n);
    TRY(file_write(h->f, p, n));
    if (file_tell(h->f) - h->began < WRITEBACK) return MILL_OK;
    h->began = file_tell(h->f);
    file_start_writeback(h->f);
    return MILL_OK;
}

mill_err headed_pad(headed_file *h, size_t multiple)
{
    static const char zeros[64];
    size_t left = (multiple - (size_t)file_tell(h->f) % multiple) % multiple;

    for (; left; left -= left < sizeof zeros ? left : sizeof zeros)
        TRY(headed_write(h, zeros, left < sizeof zeros ? left : sizeof zeros));
    return MILL_OK;
}

int64_t headed_tell(const headed_file *h)
{
    return file_tell(h->f);
}

uint32_t headed_crc(const headed_file *h, const void *head)
{
    return mill_crc32c_join(mill_crc32c(0, head, h->head), h->crc,
                            file_tell(h->f) - (int64_t)h->head);
}

mill_err headed_commit(headed_file *h, const void *head)
{
    TRY(file_patch(h->f, head, h->head, 0));
    TRY(file_commit(h->f));
    headed_close(h);
    return MILL_OK;
}

void headed_close(headed_file *h)
{
    file_close(h->f);
    h->f = NULL;
}

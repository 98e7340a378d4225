/* folder.h - a folder of the test's own below /tmp: made when it is first asked for. */
#ifndef TESTS_LIB_FOLDER_H
#define TESTS_LIB_FOLDER_H

#include "lib/test.h"

#include "base/file.h"

static char own_folder[] = "/tmp/tabmill-test-XXXXXX";

/* Of a file in it; four at a time. */
static inline const char *path_of(const char *name)
{
    static bool is_made;
    static char path[4][200];
    static int i;

    if (!is_made) assert_non_null(mkdtemp(own_folder));
    is_made = true;
    i = (i + 1) % 4;
    snprintf(path[i], sizeof path[i], "%s/%s", own_folder, name);
    return path[i];
}

/* The last test does that. */
static inline void remove_folder(void)
{
    assert_ok(file_remove_tree(own_folder));
}

#endif

/*
 * plugin.h - libraries of ours that are opened when they are needed, since what they stand on may
 * not be there: libtabmill_NAME.so.
 */
#ifndef MILL_BASE_PLUGIN_H
#define MILL_BASE_PLUGIN_H

/*
 * The plug-in `file`, for dlsym(): from the path in the environment's `variable` if there is one;
 * else beside the program, where `make install` and the build put it, beside this library, where
 * the loader looks.  flags: of dlopen().  NULL: dlerror() says why.
 */
void *mill_plugin_open(const char *file, const char *variable, int flags);

#endif

/* log.h - words for people, to one callback.  Measurements are not log text: see train/run.h. */
#ifndef MILL_BASE_LOG_H
#define MILL_BASE_LOG_H

typedef enum { MILL_LOG_DEBUG, MILL_LOG_INFO, MILL_LOG_WARN, MILL_LOG_ERROR } mill_log_level;
typedef void (*mill_log_fn)(void *ctx, mill_log_level level, const char *line);

/* fn NULL, and the default: nowhere.  A line is one call, on whatever thread it comes up. */
void mill_log_set(mill_log_fn fn, void *ctx, mill_log_level least);
void mill_log(mill_log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#endif

/*
 * watch.h - a live page of a run on this machine's loopback: read only, for a person at this
 * machine.
 *
 *     GET /              the page; its script and style are files of their own, so that the content
 *         /watch.js      security policy allows no code in the page
 *         /watch.css
 *         /status.json   status.h
 *         /latest.json   the newest rows
 *
 * Anything else is 404, another method 405.  A request whose Host is not this address, or that has
 * an Origin of another page, is 403: a page of somebody's whose name was made to mean 127.0.0.1
 * (DNS rebinding) reads nothing.
 */
#ifndef MILL_REASON_WATCH_H
#define MILL_REASON_WATCH_H

#include "reason/status.h"

typedef struct watch watch;

typedef struct {
    const char *title; /* of the run; copied */
    const status_part *part;
    int n; /* parts, borrowed until watch_close */
    int64_t chains;
    int port; /* 0: any that is free */
} watch_options;

/* MILL_EDEVICE: libmicrohttpd is absent.  MILL_EIO: the port is in use. */
mill_err watch_open(watch **out, const watch_options *o);
int watch_port(const watch *w);
void watch_close(watch *w); /* NULL is allowed */

/* watch_page.c */
extern const char watch_html[], watch_js[], watch_css[]; /* html: %s is the title, escaped */

#endif

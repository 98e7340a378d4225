/*
 * http_route.c - where requests go: url, socket, key and method, kept from one to the next.
 *
 * A route's headers are built once.  It also holds the idle calls of http_call.c: each has an easy
 * handle that is set up but for the body of its next request.
 */
#include "base/mem.h"
#include "base/text.h"
#include "reason/http_inner.h"

#include <string.h>

static bool same(const char *a, const char *b)
{
    return a == b || (a && b && !strcmp(a, b));
}

void route_free(http_loop *l, route *r)
{
    l->curl.curl_slist_free_all(r->headers);
    mill_free(r->url);
    mill_free(r->socket);
    mill_free(r->key);
    mill_free(r);
}

static bool add_header(http_loop *l, route *r, const char *line)
{
    struct curl_slist *more = l->curl.curl_slist_append(r->headers, line);

    if (more) r->headers = more;
    return more != NULL;
}

static mill_err build_headers(http_loop *l, route *r)
{
    mill_text line = {0};
    bool good = true;

    if (r->posts)
        good = add_header(l, r, "Content-Type: application/json") && add_header(l, r, "Expect:");
    if (r->key) {
        text_add(&line, "Authorization: Bearer %s", r->key);
        good = good && !line.failed && add_header(l, r, line.s);
    }
    text_free(&line);
    return good ? MILL_OK : mill_fail(MILL_ENOMEM, "no memory for headers");
}

mill_err route_find(route **out, http_loop *l, const http_request *q)
{
    const bool posts = q->body != NULL;

    for (route **at = &l->routes; *at; at = &(*at)->next) {
        route *r = *at;
        if (r->posts != posts || strcmp(r->url, q->url) != 0 || !same(r->socket, q->socket) ||
            !same(r->key, q->key))
            continue;
        *at = r->next; /* what is asked for often stays in front */
        r->next = l->routes;
        l->routes = r;
        *out = r;
        return MILL_OK;
    }
    route *r = mill_alloc(1, sizeof *r);
    if (!r) return MILL_ENOMEM;
    r->posts = posts;
    if (!(r->url = mill_strdup(q->url)) || (q->socket && !(r->socket = mill_strdup(q->socket))) ||
        (q->key && !(r->key = mill_strdup(q->key))) || build_headers(l, r)) {
        route_free(l, r);
        return MILL_ENOMEM;
    }
    r->next = l->routes;
    *out = l->routes = r;
    return MILL_OK;
}

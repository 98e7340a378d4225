/* csv_sniff.h - see csv_sniff.c. */
#ifndef MILL_TABLE_CSV_SNIFF_H
#define MILL_TABLE_CSV_SNIFF_H

#include "table/csv_reader.h"

/* b->buf holds n bytes that begin with a line; *delimiter may be given. */
mill_err csv_sniff_dialect(char *delimiter, char *quote, csv_block *b, size_t n);
/* b is indexed with the dialect of r->layout. */
bool csv_sniff_header(const csv_reader *r, csv_block *b, csv_thread *t);

#endif

#!/bin/sh
# What `inspect` says of a table: a types file.
cd "$(dirname "$0")/../../examples" && exec "$TABMILL" inspect penguins.csv

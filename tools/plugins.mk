# plugins.mk - what is opened at run time, since what it stands on may not be there: MPI; Arrow, for Parquet.
# `make MPICC=`, `make ARROW=` leave them out.
.DEFAULT_GOAL := all
MPICC ?= $(shell command -v mpicc)
ARROW ?= $(if $(wildcard build/arrow/pyarrow/include/parquet),build/arrow/pyarrow)
PLUGIN := $(if $(MPICC),$(B)/libtabmill_mpi.so) $(if $(ARROW),$(B)/libtabmill_parquet.so)

$(B)/libtabmill_mpi.so: src/rank/plugin/mpi.c src/rank/plugin/shim.h
	@echo "MPICC $@"; $(MPICC) -std=c11 -D_GNU_SOURCE -O2 -Wall -Wextra -Werror -fPIC -shared -o $@ $<

# Arrow's libraries are found in the build folder, or where `make install` puts them.
$(B)/libtabmill_parquet.so: src/table/plugin/parquet.cc src/table/plugin/parquet_shim.h src/table/arrow.h $(ARROW)/include/parquet/parquet_version.h
	@echo "CXX $@"; $(CXX) -std=c++20 -O2 -g1 -Wall -Wextra -Werror -fPIC -fvisibility=hidden -Isrc -isystem $(ARROW)/include -shared \
		-Wl,-z,defs,-rpath,'$$ORIGIN/../arrow/pyarrow:$$ORIGIN/tabmill' -o $@ $< $(wildcard $(ARROW)/libparquet.so.* $(ARROW)/libarrow.so.*)

.PHONY: parquet
parquet:
	@tools/arrow.sh
	@$(MAKE) -s all

/*
 * parquet.cc - parquet_shim.h over Arrow C++ and its Parquet library; see there.
 *
 * The reader decodes columns on Arrow's threads, as many as we were given.  Parquet's own errors
 * are exceptions and Arrow's are Status values: both become words in guarded().
 */
#include <arrow/api.h>
#include <arrow/c/bridge.h>
#include <arrow/io/interfaces.h>
#include <arrow/util/thread_pool.h>
#include <parquet/arrow/reader.h>
#include <parquet/arrow/schema.h>
#include <parquet/arrow/writer.h>

#include <cstdio>
#include <cstring>
#include <new>

extern "C" {
#include "table/plugin/parquet_shim.h"
__attribute__((visibility("default"))) const parquet_shim *tabmill_parquet(void);
}

using arrow::Result;
using arrow::Status;

namespace
{

/* ---- errors ---- */

shim_end tell(const Status &s, char *words)
{
    if (s.ok()) return SHIM_OK;
    if (s.IsOutOfMemory()) return SHIM_NOMEM;
    snprintf(words, PARQUET_WORDS, "%s", s.message().c_str());
    return SHIM_BAD;
}

/* `body` as a Status, whatever it throws. */
template <typename Body> Status caught(Body body)
{
    try {
        return body();
    } catch (const std::bad_alloc &) {
        return Status::OutOfMemory("no memory");
    } catch (const std::exception &e) {
        return Status::Invalid(e.what());
    } catch (...) {
        return Status::Invalid("an unknown exception");
    }
}

template <typename Body> shim_end guarded(char *words, Body body)
{
    return tell(caught(body), words);
}

/* ---- bytes ---- */

/* A stream of Arrow's over the caller's bytes: where it stands, and that closing does nothing. */
template <typename Base> class Stream : public Base
{
  public:
    Status Close() override
    {
        is_closed_ = true;
        return Status::OK();
    }
    bool closed() const override
    {
        return is_closed_;
    }
    Result<int64_t> Tell() const override
    {
        return at_;
    }

  protected:
    int64_t at_ = 0;

  private:
    bool is_closed_ = false;
};

/* Any thread reads at any place. */
class Input : public Stream<arrow::io::RandomAccessFile>
{
  public:
    explicit Input(const shim_input *in) : in_(*in) {}

    Status Seek(int64_t to) override
    {
        at_ = to;
        return Status::OK();
    }
    Result<int64_t> GetSize() override
    {
        return in_.bytes;
    }

    Result<int64_t> ReadAt(int64_t at, int64_t n, void *to) override
    {
        if (at < 0 || n < 0) return Status::Invalid("a place outside of the file");
        const int64_t got = in_.read(in_.ctx, to, n, at);
        if (got < 0) return Status::IOError("the file cannot be read");
        return got;
    }
    /* A damaged file may ask for more than there is: no more is allocated than that. */
    Result<std::shared_ptr<arrow::Buffer>> ReadAt(int64_t at, int64_t n) override
    {
        if (at < 0 || n < 0 || at > in_.bytes || n > in_.bytes - at)
            return Status::Invalid("a place outside of the file: it was cut short or is damaged");
        ARROW_ASSIGN_OR_RAISE(auto buffer, arrow::AllocateResizableBuffer(n));
        ARROW_ASSIGN_OR_RAISE(int64_t got, ReadAt(at, n, buffer->mutable_data()));
        RETURN_NOT_OK(buffer->Resize(got));
        return std::shared_ptr<arrow::Buffer>(std::move(buffer));
    }
    Result<int64_t> Read(int64_t n, void *to) override
    {
        ARROW_ASSIGN_OR_RAISE(int64_t got, ReadAt(at_, n, to));
        at_ += got;
        return got;
    }
    Result<std::shared_ptr<arrow::Buffer>> Read(int64_t n) override
    {
        ARROW_ASSIGN_OR_RAISE(auto buffer, ReadAt(at_, n));
        at_ += buffer->size();
        return buffer;
    }

  private:
    shim_input in_;
};

class Output : public Stream<arrow::io::OutputStream>
{
  public:
    explicit Output(const shim_output *to) : to_(*to) {}

    Status Write(const void *p, int64_t n) override
    {
        if (to_.write(to_.ctx, p, n)) return Status::IOError("the file cannot be written");
        at_ += n;
        return Status::OK();
    }

  private:
    shim_output to_;
};

/* ---- reading ---- */

/* Each batch validated in full, and no exception from behind. */
class Checked : public arrow::RecordBatchReader
{
  public:
    explicit Checked(std::unique_ptr<arrow::RecordBatchReader> from) : from_(std::move(from)) {}
    std::shared_ptr<arrow::Schema> schema() const override
    {
        return from_->schema();
    }

    Status ReadNext(std::shared_ptr<arrow::RecordBatch> *out) override
    {
        return caught([&]() -> Status {
            RETURN_NOT_OK(from_->ReadNext(out));
            return *out ? (*out)->ValidateFull() : Status::OK();
        });
    }

  private:
    std::unique_ptr<arrow::RecordBatchReader> from_;
};

/*
 * What the footer says of sizes has to agree with itself: tables are allocated by it.
 */
Status check_sizes(const parquet::FileMetaData &file)
{
    int64_t rows = 0;

    for (int g = 0; g < file.num_row_groups(); g++) {
        const auto group = file.RowGroup(g);
        if (group->num_rows() < 0 || group->num_rows() > INT64_MAX - rows)
            return Status::Invalid("a row group with an impossible number of rows");
        rows += group->num_rows();
        for (int c = 0; c < group->num_columns(); c++) {
            const auto *column = file.schema()->Column(c);
            if (column->max_repetition_level() == 0 &&
                group->ColumnChunk(c)->num_values() != group->num_rows())
                return Status::Invalid("column ", column->path()->ToDotString(), " has ",
                                       group->ColumnChunk(c)->num_values(), " values in ",
                                       group->num_rows(), " rows");
        }
    }
    if (rows != file.num_rows())
        return Status::Invalid("the footer says ", file.num_rows(), " rows, its row groups ", rows);
    return Status::OK();
}

int64_t longest_rows(const parquet::FileMetaData &file)
{
    int64_t most = 1;

    for (int g = 0; g < file.num_row_groups(); g++) {
        const auto group = file.RowGroup(g);
        const int64_t rows = group->num_rows();
        const int64_t bytes = rows ? group->total_byte_size() / rows : 0;
        most = bytes > most ? bytes : most;
    }
    return most;
}

/* Texts of a table come as dictionaries: most repeat. */
bool is_text(const parquet::ColumnDescriptor &column)
{
    const auto type = column.logical_type();
    return column.physical_type() == parquet::Type::BYTE_ARRAY &&
           column.max_repetition_level() == 0 && column.path()->ToDotVector().size() == 1 &&
           (!type || type->is_string() || type->is_enum() || type->is_none());
}

} // namespace

struct shim_reader {
    std::unique_ptr<parquet::arrow::FileReader> file;
};

namespace
{

Status open_file(shim_reader *r, const shim_input *in, const shim_how *how)
{
    parquet::ReaderProperties bytes = parquet::default_reader_properties();
    parquet::ArrowReaderProperties columns;
    parquet::arrow::FileReaderBuilder builder;

    if (!how->as_table) {
        bytes.enable_buffered_stream();
        bytes.set_buffer_size(1 << 18);
    }
    bytes.set_page_checksum_verification(true); /* of pages that have one */
    columns.set_use_threads(how->threads > 1);
    columns.set_pre_buffer(false); /* it would hold the whole file */
    RETURN_NOT_OK(builder.Open(std::make_shared<Input>(in), bytes));
    const auto file = builder.raw_reader()->metadata();
    RETURN_NOT_OK(check_sizes(*file));
    for (int c = 0; how->as_table && c < file->num_columns(); c++)
        if (is_text(*file->schema()->Column(c))) columns.set_read_dictionary(c, true);
    builder.properties(columns);
    return builder.Build(&r->file);
}

Status set_threads(int threads)
{
    return threads > 1 ? arrow::SetCpuThreadPoolCapacity(threads) : Status::OK();
}

shim_end reader_open(shim_reader **out, struct ArrowSchema *schema, shim_facts *facts,
                     const shim_input *in, const shim_how *how, char *words)
{
    return guarded(words, [&]() -> Status {
        auto r = std::make_unique<shim_reader>();
        std::shared_ptr<arrow::Schema> found;

        RETURN_NOT_OK(set_threads(how->threads));
        RETURN_NOT_OK(open_file(r.get(), in, how));
        const auto file = r->file->parquet_reader()->metadata();
        facts->rows = file->num_rows();
        facts->row_bytes = longest_rows(*file);
        RETURN_NOT_OK(r->file->GetSchema(&found));
        RETURN_NOT_OK(arrow::ExportSchema(*found, schema));
        *out = r.release();
        return Status::OK();
    });
}

void add_leaves(std::vector<int> *leaves, const parquet::arrow::SchemaField &field)
{
    if (field.is_leaf()) leaves->push_back(field.column_index);
    for (const auto &child : field.children) add_leaves(leaves, child);
}

shim_end reader_stream(struct ArrowArrayStream *out, shim_reader *r, const int *column, int n,
                       int64_t batch_rows, char *words)
{
    return guarded(words, [&]() -> Status {
        std::vector<int> groups, leaves;

        for (int g = 0; g < r->file->num_row_groups(); g++) groups.push_back(g);
        for (int i = 0; i < n; i++)
            add_leaves(&leaves, r->file->manifest().schema_fields.at((size_t)column[i]));
        r->file->set_batch_size(batch_rows);
        ARROW_ASSIGN_OR_RAISE(auto batches, r->file->GetRecordBatchReader(groups, leaves));
        return arrow::ExportRecordBatchReader(std::make_shared<Checked>(std::move(batches)), out);
    });
}

void reader_close(shim_reader *r)
{
    delete r;
    arrow::default_memory_pool()->ReleaseUnused();
}

} // namespace

/* ---- writing ---- */

struct shim_writer {
    std::shared_ptr<arrow::Schema> schema;
    std::unique_ptr<parquet::arrow::FileWriter> file;
};

namespace
{

shim_end writer_create(shim_writer **out, struct ArrowSchema *schema, const shim_output *to,
                       const shim_how *how, char *words)
{
    return guarded(words, [&]() -> Status {
        auto w = std::make_unique<shim_writer>();
        parquet::WriterProperties::Builder bytes;
        parquet::ArrowWriterProperties::Builder columns;

        RETURN_NOT_OK(set_threads(how->threads));
        ARROW_ASSIGN_OR_RAISE(w->schema, arrow::ImportSchema(schema));
        bytes.compression(parquet::Compression::SNAPPY);
        bytes.enable_page_checksum();
        bytes.max_row_group_length(INT64_MAX); /* the caller says where one ends */
        columns.store_schema();
        columns.set_use_threads(how->threads > 1);
        ARROW_ASSIGN_OR_RAISE(
            w->file, parquet::arrow::FileWriter::Open(*w->schema, arrow::default_memory_pool(),
                                                      std::make_shared<Output>(to), bytes.build(),
                                                      columns.build()));
        *out = w.release();
        return Status::OK();
    });
}

shim_end writer_write(shim_writer *w, struct ArrowArray *rows, char *words)
{
    return guarded(words, [&]() -> Status {
        ARROW_ASSIGN_OR_RAISE(auto batch, arrow::ImportRecordBatch(rows, w->schema));
        RETURN_NOT_OK(w->file->NewBufferedRowGroup());
        return w->file->WriteRecordBatch(*batch);
    });
}

shim_end writer_finish(shim_writer *w, char *words)
{
    return guarded(words, [&]() -> Status { return w->file->Close(); });
}

/* A writer that was not finished would write its footer now: into nothing, as its output fails. */
void writer_drop(shim_writer *w)
{
    (void)caught([&]() -> Status {
        delete w;
        arrow::default_memory_pool()->ReleaseUnused();
        return Status::OK();
    });
}

} // namespace

const parquet_shim *tabmill_parquet(void)
{
    static const parquet_shim shim = {PARQUET_SHIM_VERSION, reader_open,   reader_stream,
                                      reader_close,         writer_create, writer_write,
                                      writer_finish,        writer_drop};
    return &shim;
}

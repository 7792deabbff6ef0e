/* SPDX-License-Identifier: MIT */

/*
 * A program in C++ that uses what each public header offers, with the shared library and as users compile it:
 * an array, a ring, a table and slots, in /dev/shm or the directory it is given.
 */
#include <segfs/segfs.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <memory>
#include <string>

#include <fcntl.h>
#include <unistd.h>

static std::string directory;

static void check(bool good, const char *what)
{
	if (good)
		return;
	std::fprintf(stderr, "%s\n", what);
	std::exit(1);
}

#define CHECK(condition) check(condition, #condition)

/* Each type with the function that ends it. */
template <auto end> struct Closer {
	template <typename T> void operator()(T *thing) const
	{
		end(thing);
	}
};

using Dtype = std::unique_ptr<segfs_dtype, Closer<segfs_dtype_free>>;
using Mapping = std::unique_ptr<segfs_mapping, Closer<segfs_mapping_close>>;
using Ring = std::unique_ptr<segfs_ring, Closer<segfs_ring_close>>;
using Table = std::unique_ptr<segfs_table, Closer<segfs_table_close>>;

static std::string path_of(const char *name)
{
	return directory + "/" + name;
}

static Mapping create_grid()
{
	const uint64_t shape[] = {3, 4};
	segfs_mapping *mapping;

	CHECK(segfs_mapping_create(path_of("grid").c_str(), 0, 0600, "<f8", shape, 2, 'C', &mapping) == 0);
	return Mapping(mapping);
}

static void use_mapping()
{
	Mapping one = create_grid(), two = create_grid();
	uint64_t strides[SEGFS_MAX_NDIM], elements, bytes;

	segfs_array_strides(segfs_mapping_array(one.get()), strides);
	CHECK(strides[0] == 32 && strides[1] == 8);
	CHECK(segfs_array_count(segfs_mapping_array(one.get()), &elements, &bytes) == 0 && elements == 12);
	static_cast<double *>(segfs_mapping_data(one.get()))[5] = 4.5;
	CHECK(static_cast<double *>(segfs_mapping_data(two.get()))[5] == 4.5);
	CHECK(segfs_mapping_check(two.get()) == 0);
}

static void use_control()
{
	Mapping grid = create_grid();
	segfs_control *control;
	uint64_t version;

	CHECK(segfs_mapping_control(grid.get(), &control) == 0);
	CHECK(segfs_lock_exclusive(control, -1) == 0 && segfs_unlock_exclusive(control) == 0);
	CHECK(segfs_publish(control, &version) == 0 && segfs_wait(control, 0, 0, &version) == 0);
}

static void use_segment_and_npy()
{
	Mapping grid = create_grid();
	segfs_segment segment;
	segfs_array array;
	char header[256];

	CHECK(segfs_segment_read(segfs_mapping_fd(grid.get()), &segment) == 0);
	CHECK(std::strcmp(segfs_kind_name(segment.kind), "array") == 0);
	CHECK(segfs_npy_parse(header, segfs_npy_format(&segment.array, header, sizeof header), &array) == 0);
	CHECK(segfs_array_equal(&array, &segment.array));
	segfs_array_clear(&array);
	segfs_segment_clear(&segment);
}

static void use_ring()
{
	const uint64_t shape[] = {4};
	const void *read;
	void *written;
	segfs_ring *opened;

	CHECK(segfs_ring_create(path_of("ring").c_str(), 0, 0600, "<f4", shape, 1, 64, SEGFS_RING_BLOCK,
				&opened) == 0);
	Ring ring(opened);
	CHECK(segfs_ring_attach(ring.get()) == 0 && segfs_ring_join(ring.get(), SEGFS_RING_NEXT) == 0);
	CHECK(segfs_ring_reserve(ring.get(), 1, 0, 0, &written) == 1);
	static_cast<float *>(written)[3] = 1.5f;
	CHECK(segfs_ring_commit(ring.get(), 1) == 0);
	CHECK(segfs_ring_acquire(ring.get(), 1, 1, 0, 0, &read, nullptr) == 1);
	CHECK(static_cast<const float *>(read)[3] == 1.5f && segfs_ring_release(ring.get(), 1) == 0);
}

static void use_table()
{
	double value = 0.25, read = 0;
	uint64_t count;
	segfs_table *opened;

	CHECK(segfs_table_create(path_of("table").c_str(), 0, 0600, "[('rate', '<f8'), ('step', '<u8')]",
				 &opened) == 0);
	Table table(opened);
	CHECK(segfs_table_write(table.get(), 0, &value, -1) == 0);
	CHECK(segfs_table_read(table.get(), 0, &read, &count) == 0 && read == 0.25);
}

static void use_slots()
{
	segfs_mapping *created;

	CHECK(segfs_slots_create(path_of("slots").c_str(), 0, 0600, "<u8", nullptr, 0, 10, &created) == 0);
	Mapping slots(created);
	const segfs_array *array = segfs_mapping_array(slots.get());
	CHECK(array->dtype->itemsize == SEGFS_SLOTS_ALIGNMENT);
	*static_cast<uint64_t *>(segfs_slots_row(array, segfs_mapping_data(slots.get()), 9)) = 7;
}

int main(int argc, char **argv)
{
	segfs_dtype *dtype;

	CHECK(segfs_dtype_parse("float64", 7, &dtype) == 0);
	CHECK(Dtype(dtype)->itemsize == sizeof(double));
	directory = std::string(argc > 1 ? argv[1] : "/dev/shm") + "/segfs-unit.XXXXXX";
	CHECK(mkdtemp(&directory[0]) != nullptr);
	use_mapping();
	use_control();
	use_segment_and_npy();
	use_ring();
	use_table();
	use_slots();
	for (const char *name : {"grid", "ring", "table", "slots"})
		CHECK(unlink(path_of(name).c_str()) == 0);
	CHECK(rmdir(directory.c_str()) == 0);
}

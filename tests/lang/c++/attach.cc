// Attaches to a segment, a 4 x 5 array of doubles.
// c++ -std=c++20 -o attach attach.cc && ./attach /mnt/shm/NAME
#include <atomic>
#include <cerrno>
#include <chrono>
#include <iostream>
#include <stdexcept>
#include <string>
#include <system_error>
#include <thread>

#include <fcntl.h>
#include <sys/mman.h>
#include <sys/xattr.h>
#include <unistd.h>

using namespace std::chrono;

static std::system_error failure(const std::string &what)
{
	return {errno, std::system_category(), what};
}

static std::string attribute(const std::string &path, const std::string &name)
{
	char value[256];
	ssize_t len = getxattr(path.c_str(), name.c_str(), value, sizeof value);
	if (len < 0)
		throw failure(path + ": " + name);
	return {value, size_t(len)};
}

static void attach(const std::string &path)
{
	std::string dtype = attribute(path, "user.shm.dtype"), shape = attribute(path, "user.shm.shape");
	if (dtype != "<f8" || shape != "4,5")
		throw std::runtime_error(path + ": dtype " + dtype + ", shape " + shape +
					 ", not <f8 and 4,5");

	int fd = open(path.c_str(), O_RDWR | O_CLOEXEC);
	if (fd < 0)
		throw failure(path);
	void *pages = mmap(nullptr, sizeof(double[4][5]), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	if (pages == MAP_FAILED)
		throw failure(path + ": mmap");
	close(fd); // the mapping stays
	auto a = static_cast<double(*)[5]>(pages);

	if (a[1][2] != 12.5)
		throw std::runtime_error(path + ": element [1,2] is " + std::to_string(a[1][2]) +
					 ", not 12.5");
	a[2][3] = 23.25;
	std::cout << "ready" << std::endl;

	std::atomic_ref<double> other(a[3][4]); // another process writes it
	for (auto end = steady_clock::now() + 20s; other.load() != 99.0; std::this_thread::sleep_for(1ms))
		if (steady_clock::now() >= end)
			throw std::runtime_error(path + ": element [3,4] is not 99 after 20 s");
	std::cout << "seen" << std::endl;
}

int main(int argc, char **argv)
try {
	if (argc != 2)
		throw std::runtime_error("usage: attach SEGMENT");
	attach(argv[1]);
} catch (const std::exception &e) {
	std::cerr << "attach: " << e.what() << '\n';
	return 1;
}

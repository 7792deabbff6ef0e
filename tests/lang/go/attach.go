// Attaches to a segment, a 4 x 5 array of float64.   go run attach.go /mnt/shm/NAME
package main

import (
	"fmt"
	"math"
	"os"
	"sync/atomic"
	"syscall"
	"time"
	"unsafe"
)

type array [4][5]float64

func expect(path, name, want string) error {
	value := make([]byte, 256)
	n, err := syscall.Getxattr(path, name, value)
	if err != nil {
		return fmt.Errorf("%s: %s: %w", path, name, err)
	}
	if got := string(value[:n]); got != want {
		return fmt.Errorf("%s: %s is %s, not %s", path, name, got, want)
	}
	return nil
}

func attach(path string) (*array, error) {
	if err := expect(path, "user.shm.dtype", "<f8"); err != nil {
		return nil, err
	}
	if err := expect(path, "user.shm.shape", "4,5"); err != nil {
		return nil, err
	}
	file, err := os.OpenFile(path, os.O_RDWR, 0)
	if err != nil {
		return nil, err
	}
	defer file.Close() // the mapping stays
	size := int(unsafe.Sizeof(array{}))
	pages, err := syscall.Mmap(int(file.Fd()), 0, size, syscall.PROT_READ|syscall.PROT_WRITE, syscall.MAP_SHARED)
	if err != nil {
		return nil, fmt.Errorf("%s: mmap: %w", path, err)
	}
	return (*array)(unsafe.Pointer(&pages[0])), nil
}

// load reads an element that another process writes.
func load(element *float64) float64 {
	return math.Float64frombits(atomic.LoadUint64((*uint64)(unsafe.Pointer(element))))
}

func run(path string) error {
	a, err := attach(path)
	if err != nil {
		return err
	}
	if a[1][2] != 12.5 {
		return fmt.Errorf("%s: element [1,2] is %g, not 12.5", path, a[1][2])
	}
	a[2][3] = 23.25
	fmt.Println("ready")

	for end := time.Now().Add(20 * time.Second); load(&a[3][4]) != 99; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			return fmt.Errorf("%s: element [3,4] is still %g after 20 s", path, load(&a[3][4]))
		}
	}
	fmt.Println("seen")
	return nil
}

func main() {
	if len(os.Args) != 2 {
		fmt.Fprintln(os.Stderr, "usage: attach SEGMENT")
		os.Exit(1)
	}
	if err := run(os.Args[1]); err != nil {
		fmt.Fprintln(os.Stderr, "attach:", err)
		os.Exit(1)
	}
}

// Attaches to a segment, a 4 x 5 array of f64, with the standard library alone.   rustc --edition 2021 attach.rs && ./attach /mnt/shm/NAME
use std::ffi::CString;
use std::os::raw::{c_char, c_int, c_long, c_void};
use std::os::unix::io::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering::SeqCst};
use std::time::{Duration, Instant};
use std::{env, error::Error, fs, io, process, ptr, thread};

extern "C" {
    fn mmap(addr: *mut c_void, len: usize, prot: c_int, flags: c_int, fd: c_int, offset: c_long) -> *mut c_void;
    fn getxattr(path: *const c_char, name: *const c_char, value: *mut c_void, size: usize) -> isize;
}
const PROT_READ_WRITE: c_int = 1 | 2;
const MAP_SHARED: c_int = 1;

/// Other processes write it too, so each element is an atomic, which Rust has for the bits of an f64.
type Array = [[AtomicU64; 5]; 4];

fn get(a: &Array, row: usize, column: usize) -> f64 {
    f64::from_bits(a[row][column].load(SeqCst))
}

fn attribute(path: &str, name: &str) -> Result<String, Box<dyn Error>> {
    let (c_path, c_name) = (CString::new(path)?, CString::new(name)?);
    let mut value = vec![0u8; 256];
    let len = unsafe { getxattr(c_path.as_ptr(), c_name.as_ptr(), value.as_mut_ptr().cast(), value.len()) };
    let len = usize::try_from(len).map_err(|_| format!("{path}: {name}: {}", io::Error::last_os_error()))?;
    value.truncate(len);
    Ok(String::from_utf8(value)?)
}

fn attach(path: &str) -> Result<&'static Array, Box<dyn Error>> {
    let (dtype, shape) = (attribute(path, "user.shm.dtype")?, attribute(path, "user.shm.shape")?);
    if dtype != "<f8" || shape != "4,5" {
        return Err(format!("{path}: dtype {dtype}, shape {shape}, not <f8 and 4,5").into());
    }
    let file = fs::OpenOptions::new().read(true).write(true).open(path)?;
    let size = std::mem::size_of::<Array>();
    let pages = unsafe { mmap(ptr::null_mut(), size, PROT_READ_WRITE, MAP_SHARED, file.as_raw_fd(), 0) };
    if pages as isize == -1 {
        return Err(format!("{path}: mmap: {}", io::Error::last_os_error()).into());
    }
    Ok(unsafe { &*pages.cast::<Array>() }) // never unmapped, so it lives as long as the process
}

fn run(path: &str) -> Result<(), Box<dyn Error>> {
    let a = attach(path)?;
    if get(a, 1, 2) != 12.5 {
        return Err(format!("{path}: element [1,2] is {}, not 12.5", get(a, 1, 2)).into());
    }
    a[2][3].store(23.25f64.to_bits(), SeqCst);
    println!("ready");

    let end = Instant::now() + Duration::from_secs(20);
    while get(a, 3, 4) != 99.0 {
        if Instant::now() > end {
            return Err(format!("{path}: element [3,4] is still {} after 20 s", get(a, 3, 4)).into());
        }
        thread::sleep(Duration::from_millis(1));
    }
    println!("seen");
    Ok(())
}

fn main() {
    let result = match env::args().nth(1) {
        Some(path) => run(&path),
        None => Err("usage: attach SEGMENT".into()),
    };
    if let Err(error) = result {
        eprintln!("attach: {error}");
        process::exit(1);
    }
}

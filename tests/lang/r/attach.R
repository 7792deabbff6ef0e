# Attaches to a segment, a 4 x 5 array of doubles. R maps nothing: reads and writes of the file act on the same pages.
# Needs getfattr (package attr).   Rscript attach.R /mnt/shm/NAME
path <- commandArgs(trailingOnly = TRUE)[1]

fail <- function(...) {
  cat("attach: ", ..., "\n", sep = "", file = stderr())
  quit(status = 1)
}

if (is.na(path)) fail("usage: attach.R SEGMENT")

attribute <- function(name) {
  value <- suppressWarnings(system2("getfattr", c("--only-values --absolute-names -n", name, shQuote(path)), stdout = TRUE))
  if (!is.null(attr(value, "status"))) fail(path, ": no ", name)
  paste(value, collapse = "\n")
}

# Opened anew for each access: R buffers what a connection has read, and the memory changes under it.
element <- function(mode, row, column, use) {
  file <- file(path, mode)
  on.exit(close(file))
  seek(file, 8 * (5 * row + column), rw = if (mode == "rb") "read" else "write")
  use(file)
}
get_element <- function(row, column)
  element("rb", row, column, function(file) readBin(file, "double", endian = "little"))
set_element <- function(row, column, value)
  element("r+b", row, column, function(file) writeBin(value, file, endian = "little"))

if (attribute("user.shm.dtype") != "<f8") fail(path, ": dtype ", attribute("user.shm.dtype"), ", not <f8")
if (attribute("user.shm.shape") != "4,5") fail(path, ": shape ", attribute("user.shm.shape"), ", not 4,5")
if (get_element(1, 2) != 12.5) fail(path, ": element [1,2] is ", get_element(1, 2), ", not 12.5")
set_element(2, 3, 23.25)
cat("ready\n")
flush(stdout())

end <- Sys.time() + 20
while (get_element(3, 4) != 99) { # another process writes it
  if (Sys.time() > end) fail(path, ": element [3,4] is still ", get_element(3, 4), " after 20 s")
  Sys.sleep(0.001)
}
cat("seen\n")

% Attaches to a segment, a 4 x 5 array of doubles. Octave maps nothing: reads and writes of the file act on the same pages.
% Needs getfattr (package attr).   octave-cli attach.m /mnt/shm/NAME
1; % a script, not a function file

function value = attribute(path, name)
  quoted = ["'" strrep(path, "'", "'\\''") "'"];
  [status, value] = system(["getfattr --only-values --absolute-names -n " name " " quoted]);
  if status != 0
    error("attach: %s: no %s\n", path, name);
  end
end

% Opened anew for each access: stdio keeps what it has read, and the memory changes under it.
function file = open_at(path, mode, row, column)
  [file, message] = fopen(path, mode, "ieee-le");
  if file < 0
    error("attach: %s: %s\n", path, message);
  end
  fseek(file, 8 * (5 * row + column), SEEK_SET);
end

function value = get_element(path, row, column)
  file = open_at(path, "rb", row, column);
  value = fread(file, 1, "double");
  fclose(file);
end

function set_element(path, row, column, value)
  file = open_at(path, "r+b", row, column);
  fwrite(file, value, "double");
  fclose(file);
end

if isempty(argv())
  error("attach: usage: attach.m SEGMENT\n");
end
path = argv(){1};
dtype = attribute(path, "user.shm.dtype");
shape = attribute(path, "user.shm.shape");
if ! strcmp(dtype, "<f8") || ! strcmp(shape, "4,5")
  error("attach: %s: dtype %s, shape %s, not <f8 and 4,5\n", path, dtype, shape);
end
if get_element(path, 1, 2) != 12.5
  error("attach: %s: element [1,2] is %g, not 12.5\n", path, get_element(path, 1, 2));
end
set_element(path, 2, 3, 23.25);
puts("ready\n");
fflush(stdout);

start = tic;
while get_element(path, 3, 4) != 99 % another process writes it
  if toc(start) > 20
    error("attach: %s: element [3,4] is still %g after 20 s\n", path, get_element(path, 3, 4));
  end
  pause(0.001);
end
puts("seen\n");

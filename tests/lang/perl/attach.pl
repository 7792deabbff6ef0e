# Attaches to a segment, a 4 x 5 array of doubles; needs libfile-map-perl and attr.   perl attach.pl /mnt/shm/NAME
use strict;
use warnings;
use File::Map 'map_file';
use Time::HiRes qw(sleep time);

sub fail { print STDERR 'attach: ', @_, "\n"; exit 1 }

my $path = shift // fail 'usage: attach.pl SEGMENT';

sub attribute {    # Perl has no getxattr of its own
    my ($name) = @_;
    open my $pipe, '-|', 'getfattr', '--only-values', '--absolute-names', '-n', $name, $path or fail "getfattr: $!";
    my $value = do { local $/; <$pipe> };
    close $pipe or fail "$path: no $name";
    return $value;
}

my ($dtype, $shape) = (attribute('user.shm.dtype'), attribute('user.shm.shape'));
fail "$path: dtype $dtype, shape $shape, not <f8 and 4,5" unless $dtype eq '<f8' && $shape eq '4,5';

map_file my $pages, $path, '+<';    # the string $pages is the shared memory itself
sub at      { my ($row, $column) = @_; return 8 * (5 * $row + $column) }
sub element { return unpack 'd<', substr $pages, at(@_), 8 }

fail "$path: element [1,2] is ", element(1, 2), ', not 12.5' unless element(1, 2) == 12.5;
substr($pages, at(2, 3), 8) = pack 'd<', 23.25;
$| = 1;
print "ready\n";

my $end = time + 20;
until (element(3, 4) == 99) {       # another process writes it
    fail "$path: element [3,4] is still ", element(3, 4), ' after 20 s' if time > $end;
    sleep 0.001;
}
print "seen\n";

// Attaches to a segment, a 4 x 5 array of doubles.   java Attach.java /mnt/shm/NAME
import java.io.IOException;
import java.lang.invoke.MethodHandles;
import java.lang.invoke.VarHandle;
import java.nio.ByteOrder;
import java.nio.MappedByteBuffer;
import java.nio.channels.FileChannel;
import java.nio.file.Files;
import java.nio.file.Path;
import java.nio.file.StandardOpenOption;

class Attach {
    /** Reads and writes doubles in a buffer as other processes see them: getVolatile always goes to memory. */
    static final VarHandle DOUBLE = MethodHandles.byteBufferViewVarHandle(double[].class, ByteOrder.LITTLE_ENDIAN);

    static int at(int row, int column) {
        return Double.BYTES * (5 * row + column);
    }

    static String attribute(Path path, String name) throws IOException {
        return new String((byte[]) Files.getAttribute(path, "user:" + name));
    }

    static MappedByteBuffer attach(Path path) throws IOException {
        String dtype = attribute(path, "shm.dtype"), shape = attribute(path, "shm.shape");
        if (!dtype.equals("<f8") || !shape.equals("4,5"))
            throw new IOException(path + ": dtype " + dtype + ", shape " + shape + ", not <f8 and 4,5");
        try (var file = FileChannel.open(path, StandardOpenOption.READ, StandardOpenOption.WRITE)) {
            return file.map(FileChannel.MapMode.READ_WRITE, 0, at(4, 0)); // stays when the file is closed
        }
    }

    public static void main(String[] args) throws InterruptedException {
        try {
            if (args.length != 1)
                throw new IOException("usage: Attach SEGMENT");
            MappedByteBuffer a = attach(Path.of(args[0]));
            if ((double) DOUBLE.get(a, at(1, 2)) != 12.5)
                throw new IOException(args[0] + ": element [1,2] is " + DOUBLE.get(a, at(1, 2)) + ", not 12.5");
            DOUBLE.setVolatile(a, at(2, 3), 23.25);
            System.out.println("ready");

            long end = System.nanoTime() + 20_000_000_000L;
            while ((double) DOUBLE.getVolatile(a, at(3, 4)) != 99.0) { // another process writes it
                if (System.nanoTime() > end)
                    throw new IOException(args[0] + ": element [3,4] is not 99 after 20 s");
                Thread.sleep(1);
            }
            System.out.println("seen");
        } catch (IOException e) {
            System.err.println("attach: " + e);
            System.exit(1);
        }
    }
}

class ByteArrayOutputStream extends OutputStream {
    private List $bytes = []
    ByteArrayOutputStream(size = 0) { }
    void write(what) { if (what instanceof Integer) $bytes.add((what + 128) % 256 - 128) else $bytes.addAll(what.toList()) }
    void write(bytes, int from, int length) { $bytes.addAll(bytes.toList().subList(from, from + length)) }
    def leftShift(what) { write(what instanceof Collection || what instanceof byte[] ? what : what instanceof InputStream ? what.bytes : String.valueOf(what).bytes); this }
    def append(what) { leftShift(what) }
    void print(what) { write(String.valueOf(what).bytes) }
    void println(what = '') { write((String.valueOf(what) + '\n').bytes) }
    def printf(String template, Object... all) { write(String.format(template, *all.toList()).bytes); this }
    int size() { $bytes.size() }
    void reset() { $bytes.clear() }
    byte[] toByteArray() { $bytes as byte[] }
    String toString() { new String($bytes as byte[]) }
    String toString(charset) { new String($bytes as byte[], charset) }
    def withStream(Closure f) { f(this) }
    def withWriter(Closure f) { def out = new StringWriter(); def answer = f(out); write(out.toString().bytes); answer }
    def withWriter(charset, Closure f) { withWriter(f) }
    def withPrintWriter(Closure f) { withWriter(f) }
    void writeTo(out) { out << toByteArray() }
    void flush() { }
    void close() { }
}

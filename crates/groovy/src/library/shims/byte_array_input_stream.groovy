class ByteArrayInputStream extends InputStream {
    private List $bytes
    private int $at = 0
    ByteArrayInputStream(bytes) { $bytes = bytes.toList() }
    int read() { $at < $bytes.size() ? ($bytes[$at++] + 256) % 256 : -1 }
    int available() { $bytes.size() - $at }
    byte[] getBytes() { def rest = $bytes.subList($at, $bytes.size()); $at = $bytes.size(); rest as byte[] }
    byte[] readAllBytes() { getBytes() }
    String getText(charset = 'UTF-8') { new String(getBytes(), charset) }
    def readLines(charset = 'UTF-8') { getText(charset).readLines() }
    def eachLine(Closure f) { newReader().eachLine(f) }
    def newReader(charset = 'UTF-8') { new StringReader(getText(charset)) }
    def withReader(Closure f) { f(newReader()) }
    def withStream(Closure f) { f(this) }
    void reset() { $at = 0 }
    void close() { }
}

class StringReader extends Reader {
    private String text
    private int at = 0
    StringReader(source) { text = source instanceof java.io.StringReader ? source.$rest() : source.toString() }
    String $rest() { def rest = text.substring(at); at = text.length(); rest }
    int read() { at < text.length() ? text.charAt(at++) as int : -1 }
    String readLine() {
        if (at >= text.length()) return null
        int end = text.indexOf('\n', at)
        def line = end < 0 ? text.substring(at) : text.substring(at, end)
        at = end < 0 ? text.length() : end + 1
        line.endsWith('\r') ? line.substring(0, line.length() - 1) : line
    }
    boolean ready() { at < text.length() }
    String getText() { $rest() }
    def readLines() { $rest().readLines() }
    def lines() { new java.util.stream.Stream(readLines()) }
    def eachLine(f) { $rest().eachLine(f) }
    def splitEachLine(by, f) { $rest().splitEachLine(by, f) }
    def withReader(f) { f(this) }
    long skip(n) { def from = at; at = Math.min(text.length() as long, at + (n as long)) as int; (at - from) as long }
    void reset() { at = 0 }
    void close() { }
    def iterator() { readLines().iterator() }
}

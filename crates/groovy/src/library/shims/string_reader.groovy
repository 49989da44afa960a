class StringReader extends Reader {
    private String text
    private int at = 0
    StringReader(source) { text = source instanceof java.io.StringReader ? source.$rest() : source.toString() }
    String $rest() { def rest = text.substring(at); at = text.length(); rest }
    int read() { at < text.length() ? text.charAt(at++) as int : -1 }
    String readLine() {
        if (at >= text.length()) return null
        int feed = text.indexOf('\n', at)
        if (feed < 0) feed = text.length()
        def line = text.substring(at, feed)
        int back = line.indexOf('\r')
        int end = back < 0 ? feed : at + back
        if (back >= 0) line = line.substring(0, back)
        at = Math.min(text.length(), end + 1 == feed && feed < text.length() ? end + 2 : end + 1)
        line
    }
    boolean ready() { at < text.length() }
    String getText() { $rest() }
    def readLines() { $rest().readLines() }
    def lines() { new java.util.stream.Stream(readLines()) }
    def eachLine(f) { f.maximumNumberOfParameters == 2 ? eachLine(1, f) : $rest().eachLine(f) }
    def eachLine(int first, f) { $rest().eachLine(first, f) }
    def filterLine(f) { filterLine(new StringWriter(), f) }
    def filterLine(to, f) { for (line in readLines()) { if (f(line)) { to << line; to << '\n' } }; to }
    void transformLine(to, f) { for (line in readLines()) { to << "${f(line)}\n" } }
    def splitEachLine(by, f) { $rest().splitEachLine(by, f) }
    def withReader(f) { f(this) }
    long skip(n) { def from = at; at = Math.min(text.length() as long, at + (n as long)) as int; (at - from) as long }
    void reset() { at = 0 }
    void close() { }
    def iterator() { readLines().iterator() }
}

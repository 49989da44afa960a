// Reads a text only: there is nothing else to read from.
class Scanner {
    private String text
    private int at = 0
    // Where the next carriage return is, as far as was looked.
    private int carriage = -2
    private def last
    private def between = ~/\s+/
    Scanner(source) { text = source instanceof CharSequence ? source.toString() : source.text }
    def useDelimiter(pattern) { between = pattern instanceof java.util.regex.Pattern ? pattern : java.util.regex.Pattern.compile(pattern); this }
    // Where the next word begins and ends; null: there is none.
    private def word() {
        def gap = between.matcher(text)
        int from = at
        if (gap.find(from) && gap.start() == from) from = gap.end()
        if (from >= text.length()) return null
        // What is empty where the word begins does not end it.
        boolean found = gap.find(from)
        if (found && gap.end() == from) found = gap.find(from + 1)
        [from, found ? gap.start() : text.length()]
    }
    private String ahead() { def w = this.word(); w == null ? null : text.substring(w[0], w[1]) }
    boolean hasNext() { this.word() != null }
    boolean hasNext(pattern) { def w = this.ahead(); w != null && w.matches(pattern) }
    String next() {
        def w = this.word()
        if (w == null) throw new NoSuchElementException()
        at = w[1]
        text.substring(w[0], w[1])
    }
    private boolean fits(f) { def w = this.ahead(); w != null && f(w) }
    boolean hasNextInt() { this.fits { it.isInteger() } }
    boolean hasNextLong() { this.fits { it.isLong() } }
    boolean hasNextDouble() { this.fits { it.isDouble() } }
    boolean hasNextBoolean() { this.fits { it.equalsIgnoreCase('true') || it.equalsIgnoreCase('false') } }
    private String wanted(boolean fits) {
        def w = this.ahead()
        if (w == null) throw new NoSuchElementException()
        if (!fits) throw new InputMismatchException("For input string: \"${w}\"".toString())
        this.next()
    }
    int nextInt() { this.wanted(this.hasNextInt()).toInteger() }
    long nextLong() { this.wanted(this.hasNextLong()).toLong() }
    double nextDouble() { this.wanted(this.hasNextDouble()).toDouble() }
    def nextBigDecimal() { this.wanted(this.hasNextDouble()).toBigDecimal() }
    boolean nextBoolean() { this.wanted(this.hasNextBoolean()).equalsIgnoreCase('true') }
    boolean hasNextLine() { at < text.length() }
    String nextLine() {
        if (at >= text.length()) throw new NoSuchElementException('No line found')
        int end = this.lineEnd()
        String line = text.substring(at, end)
        at = Math.min(end + (text.startsWith('\r\n', end) ? 2 : 1), text.length())
        line
    }
    private int lineEnd() {
        if (carriage != -1 && carriage < at) carriage = text.indexOf('\r', at)
        int end = text.indexOf('\n', at)
        if (end < 0) end = text.length()
        carriage < 0 ? end : Math.min(end, carriage)
    }
    String findInLine(pattern) {
        def m = (pattern instanceof java.util.regex.Pattern ? pattern : java.util.regex.Pattern.compile(pattern)).matcher(text.substring(at, this.lineEnd()))
        if (!m.find()) return null
        last = m
        at += m.end()
        m.group()
    }
    def match() { if (last == null) throw new IllegalStateException('No match result available'); last }
    def iterator() { def all = []; while (this.hasNext()) all.add(this.next()); all.iterator() }
    void close() {}
}

class Stream {
    private List items
    Stream(items) { this.items = items.toList() }
    static of(Object... all) { new java.util.stream.Stream(all.toList()) }
    static ofNullable(one) { new java.util.stream.Stream(one == null ? [] : [one]) }
    static empty() { new java.util.stream.Stream([]) }
    static concat(a, b) { new java.util.stream.Stream(a.toList() + b.toList()) }
    static range(from, to) { new java.util.stream.Stream(from < to ? (from..<to).toList() : []) }
    static rangeClosed(from, to) { new java.util.stream.Stream(from <= to ? (from..to).toList() : []) }
    private make(list) { new java.util.stream.Stream(list) }
    def map(f) { make(items.collect { f(it) }) }
    def mapToInt(f) { map(f) }
    def mapToLong(f) { map(f) }
    def mapToDouble(f) { map(f) }
    def mapToObj(f) { map(f) }
    def asLongStream() { this }
    def boxed() { this }
    def parallel() { this }
    def sequential() { this }
    def unordered() { this }
    def flatMap(f) { make(items.collectMany { f(it).toList() }) }
    def filter(f) { make(items.findAll { f(it) }) }
    def distinct() { make(items.unique(false)) }
    def sorted() { make(items.sort(false)) }
    def sorted(f) { make(items.sort(false) { a, b -> f.compare(a, b) }) }
    def limit(n) { make(items.take(n as int)) }
    def skip(n) { make(items.drop(n as int)) }
    def takeWhile(f) { make(items.takeWhile { f(it) }) }
    def dropWhile(f) { make(items.dropWhile { f(it) }) }
    def peek(f) { for (x in items) f(x); this }
    void forEach(f) { for (x in items) f(x) }
    void forEachOrdered(f) { for (x in items) f(x) }
    boolean anyMatch(f) { items.any { f(it) } }
    boolean allMatch(f) { items.every { f(it) } }
    boolean noneMatch(f) { !items.any { f(it) } }
    long count() { items.size() as long }
    def findFirst() { Optional.ofNullable(items ? items[0] : null) }
    def findAny() { findFirst() }
    def reduce(start, f) { def sum = start; for (x in items) sum = f(sum, x); sum }
    def reduce(f) { items.isEmpty() ? Optional.empty() : Optional.of(items.inject { a, b -> f(a, b) }) }
    def min(f) { Optional.ofNullable(items.isEmpty() ? null : items.min { a, b -> f.compare(a, b) }) }
    def max(f) { Optional.ofNullable(items.isEmpty() ? null : items.max { a, b -> f.compare(a, b) }) }
    def min() { Optional.ofNullable(items.min()) }
    def max() { Optional.ofNullable(items.max()) }
    def sum() { items.isEmpty() ? 0 : items.sum() }
    def average() { items.isEmpty() ? Optional.empty() : Optional.of((items.sum() as double) / items.size()) }
    def collect(f) { f instanceof java.util.stream.Collector ? f.finish(items) : items.collect(f) }
    def toList() { items.toList() }
    def toArray() { items.toArray() }
    def toArray(f) { items.toArray() }
    def iterator() { items.iterator() }
    void close() { }
}

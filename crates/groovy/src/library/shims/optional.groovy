class Optional {
    private def value
    private Optional(value) { this.value = value }
    static Optional of(value) {
        if (value == null) throw new NullPointerException()
        new java.util.Optional(value)
    }
    static Optional ofNullable(value) { new java.util.Optional(value) }
    static Optional empty() { new java.util.Optional(null) }
    boolean isPresent() { value != null }
    boolean isEmpty() { value == null }
    def get() {
        if (value == null) throw new NoSuchElementException('No value present')
        value
    }
    def getAsInt() { get() }
    def getAsLong() { get() }
    def getAsDouble() { get() as double }
    def orElse(other) { value == null ? other : value }
    def orElseGet(f) { value == null ? f() : value }
    def orElseThrow() { get() }
    def orElseThrow(f) { if (value == null) throw f(); value }
    def or(f) { value == null ? f() : this }
    void ifPresent(f) { if (value != null) f(value) }
    void ifPresentOrElse(f, g) { if (value != null) f(value) else g() }
    def map(f) { value == null ? this : new java.util.Optional(f(value)) }
    def flatMap(f) { value == null ? this : f(value) }
    def filter(f) { value == null || f(value) ? this : new java.util.Optional(null) }
    def stream() { (value == null ? [] : [value]).stream() }
    boolean equals(other) { other instanceof java.util.Optional && other.orElse(null) == value }
    int hashCode() { value == null ? 0 : value.hashCode() }
    String toString() { value == null ? 'Optional.empty' : "Optional[${value}]".toString() }
}

// Bits as a sorted set of their positions: what is far apart takes no room.
class BitSet implements Cloneable {
    private TreeSet held = new TreeSet()
    // Those of 64 bits that Java would have made room for.
    private int words
    BitSet() { words = 1 }
    BitSet(int size) {
        if (size < 0) throw new NegativeArraySizeException("nbits < 0: ${size}".toString())
        words = ((size - 1) >> 6) + 1
    }
    static BitSet valueOf(given) {
        def made = new java.util.BitSet(0)
        int wide = given instanceof byte[] ? 8 : 64
        for (int i = 0; i < given.length; i++) {
            long word = given[i]
            for (int at = 0; word != 0 && at < wide; at++) { if (word & 1L) made.set(i * wide + at); word = word >>> 1 }
        }
        made
    }
    private int known(int at) { if (at < 0) throw new IndexOutOfBoundsException("bitIndex < 0: ${at}".toString()); at }
    private int from(int at, int least) {
        if (at < least) throw new IndexOutOfBoundsException("fromIndex < ${least}: ${at}".toString())
        at
    }
    private held(int from, int to) {
        this.from(from, 0)
        if (to < 0) throw new IndexOutOfBoundsException("toIndex < 0: ${to}".toString())
        if (from > to) throw new IndexOutOfBoundsException("fromIndex: ${from} > toIndex: ${to}".toString())
        held.subSet(from, to)
    }
    boolean get(int at) { held.contains(this.known(at)) }
    def get(int from, int to) {
        def made = new java.util.BitSet(0)
        for (at in this.held(from, to)) made.set(at - from)
        made
    }
    boolean getAt(int at) { this.get(at) }
    def getAt(IntRange range) { this.get(range.from, range.to + 1) }
    void set(int at) {
        held.add(this.known(at))
        int needed = (at >> 6) + 1
        if (needed > words) words = Math.max(2 * words, needed)
    }
    void set(int at, boolean on) { if (on) this.set(at) else this.clear(at) }
    void set(int from, int to) { this.held(from, to); for (int at = from; at < to; at++) this.set(at) }
    void set(int from, int to, boolean on) { if (on) this.set(from, to) else this.clear(from, to) }
    void putAt(int at, boolean on) { this.set(at, on) }
    void putAt(IntRange range, boolean on) { this.set(range.from, range.to + 1, on) }
    void clear(int at) { held.remove(this.known(at)) }
    void clear(int from, int to) { for (at in this.held(from, to)) held.remove(at) }
    void clear() { held.clear() }
    void flip(int at) { this.set(at, !this.get(at)) }
    void flip(int from, int to) { this.held(from, to); for (int at = from; at < to; at++) this.flip(at) }
    int cardinality() { held.size() }
    int length() { held.isEmpty() ? 0 : held.last() + 1 }
    int size() { words * 64 }
    boolean isEmpty() { held.isEmpty() }
    int nextSetBit(int from) { def at = held.ceiling(this.from(from, 0)); at == null ? -1 : at }
    int previousSetBit(int from) { def at = held.floor(this.from(from, -1)); at == null ? -1 : at }
    int nextClearBit(int from) { int at = this.from(from, 0); while (held.contains(at)) at++; at }
    int previousClearBit(int from) { int at = this.from(from, -1); while (at >= 0 && held.contains(at)) at--; at }
    // Groovy's own methods of these names make another one.
    def and(other) { def made = this.clone(); made.keep { other.get(it) }; made }
    def or(other) { def made = this.clone(); for (at in other.bits()) made.set(at); made }
    def xor(other) { def made = this.clone(); for (at in other.bits()) made.flip(at); made }
    def bitwiseNegate() { def made = this.clone(); made.flip(0, this.size() - 1); made }
    void andNot(other) { this.keep { !other.get(it) } }
    protected void keep(Closure f) { for (at in this.bits()) { if (!f(at)) held.remove(at) } }
    boolean intersects(other) { other.bits().any { held.contains(it) } }
    protected List bits() { held.toList() }
    def stream() { this.bits().stream() }
    def clone() { def made = new java.util.BitSet(this.size()); for (at in held) made.set(at); made }
    private def packed(def made, int wide) { for (at in held) made[(int) (at / wide)] |= 1L << (at % wide); made }
    long[] toLongArray() { this.packed(new long[(int) ((this.length() + 63) / 64)], 64) }
    byte[] toByteArray() { this.packed(new byte[(int) ((this.length() + 7) / 8)], 8) }
    boolean equals(other) { other instanceof java.util.BitSet && other.bits() == this.bits() }
    int hashCode() {
        long hash = 1234, word = 0
        int index = 0
        for (at in held) {
            if (at >> 6 != index) { hash ^= word * (index + 1); word = 0; index = at >> 6 }
            word |= 1L << (at & 63)
        }
        hash ^= word * (index + 1)
        (int) ((hash >> 32) ^ hash)
    }
    String toString() { '{' + held.join(', ') + '}' }
}

class BitSet {
    private TreeSet held = new TreeSet()
    BitSet() {}
    BitSet(int size) {}
    private int known(int at) { if (at < 0) throw new IndexOutOfBoundsException("bitIndex < 0: ${at}"); at }
    boolean get(int at) { held.contains(this.known(at)) }
    boolean getAt(int at) { this.get(at) }
    void set(int at) { held.add(this.known(at)) }
    void set(int at, boolean on) { if (on) this.set(at) else this.clear(at) }
    void set(int from, int to) { for (int at = from; at < to; at++) this.set(at) }
    void putAt(int at, boolean on) { this.set(at, on) }
    void clear(int at) { held.remove(this.known(at)) }
    void clear() { held.clear() }
    void flip(int at) { this.set(at, !this.get(at)) }
    int cardinality() { held.size() }
    int length() { held.isEmpty() ? 0 : held.last() + 1 }
    boolean isEmpty() { held.isEmpty() }
    int nextSetBit(int from) { def at = held.ceiling(from); at == null ? -1 : at }
    int previousSetBit(int from) { def at = held.floor(from); at == null ? -1 : at }
    int nextClearBit(int from) { int at = from; while (held.contains(at)) at++; at }
    void and(other) { held.retainAll(other.bits()) }
    void or(other) { held.addAll(other.bits()) }
    void xor(other) { for (at in other.bits()) this.flip(at) }
    void andNot(other) { held.removeAll(other.bits()) }
    boolean intersects(other) { other.bits().any { held.contains(it) } }
    protected List bits() { held.toList() }
    boolean equals(other) { other instanceof java.util.BitSet && other.bits() == this.bits() }
    int hashCode() { held.hashCode() }
    String toString() { '{' + held.join(', ') + '}' }
}

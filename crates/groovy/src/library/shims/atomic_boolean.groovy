class AtomicBoolean {
    private boolean value
    AtomicBoolean(start = false) { value = start }
    boolean get() { value }
    void set(to) { value = to }
    void lazySet(to) { value = to }
    boolean getAndSet(to) { def old = value; value = to; old }
    boolean compareAndSet(expected, to) { if (value != expected) return false; value = to; true }
    boolean asBoolean() { value }
    String toString() { value.toString() }
}

class AtomicReference {
    private def value
    AtomicReference(start = null) { value = start }
    def get() { value }
    void set(to) { value = to }
    void lazySet(to) { value = to }
    def getAndSet(to) { def old = value; value = to; old }
    boolean compareAndSet(expected, to) { if (!(value == null ? expected == null : value.is(expected) || value == expected)) return false; value = to; true }
    def getAndUpdate(f) { def old = value; value = f(old); old }
    def updateAndGet(f) { value = f(value); value }
    def accumulateAndGet(x, f) { value = f(value, x); value }
    String toString() { String.valueOf(value) }
}

class AtomicLong extends Number {
    private def value
    AtomicLong(start = 0L) { value = start as long }
    def get() { value }
    def intValue() { value as int }
    def longValue() { value as long }
    def doubleValue() { value as double }
    def floatValue() { value as float }
    def getPlain() { value }
    def getAcquire() { value }
    void set(to) { value = to }
    void lazySet(to) { value = to }
    def getAndSet(to) { def old = value; value = to; old }
    boolean compareAndSet(expected, to) { if (value != expected) return false; value = to; true }
    boolean weakCompareAndSet(expected, to) { compareAndSet(expected, to) }
    def getAndIncrement() { getAndAdd(1L) }
    def getAndDecrement() { getAndAdd(-1L) }
    def getAndAdd(by) { def old = value; value = old + by; old }
    def incrementAndGet() { addAndGet(1L) }
    def decrementAndGet() { addAndGet(-1L) }
    def addAndGet(by) { value = value + by; value }
    def getAndUpdate(f) { def old = value; value = f(old); old }
    def updateAndGet(f) { value = f(value); value }
    def getAndAccumulate(x, f) { def old = value; value = f(old, x); old }
    def accumulateAndGet(x, f) { value = f(value, x); value }
    def next() { incrementAndGet() }
    def previous() { decrementAndGet() }
    def plus(by) { value + by }
    def minus(by) { value - by }
    int compareTo(other) { value <=> (other instanceof Number ? other : other.get()) }
    boolean asBoolean() { value != 0 }
    String toString() { value.toString() }
}

enum TimeUnit {
    NANOSECONDS(1L), MICROSECONDS(1000L), MILLISECONDS(1000000L), SECONDS(1000000000L), MINUTES(60000000000L),
    HOURS(3600000000000L), DAYS(86400000000000L)
    private final long nanos
    TimeUnit(long nanos) { this.nanos = nanos }
    long length() { nanos }
    long convert(amount, unit) { scaled(amount, unit.length(), nanos) }
    long toNanos(amount) { scaled(amount, nanos, 1L) }
    long toMicros(amount) { scaled(amount, nanos, 1000L) }
    long toMillis(amount) { scaled(amount, nanos, 1000000L) }
    long toSeconds(amount) { scaled(amount, nanos, 1000000000L) }
    long toMinutes(amount) { scaled(amount, nanos, 60000000000L) }
    long toHours(amount) { scaled(amount, nanos, 3600000000000L) }
    long toDays(amount) { scaled(amount, nanos, 86400000000000L) }
    private long scaled(amount, from, to) {
        def whole = (amount as BigInteger) * from
        def result = whole.signum() < 0 ? whole.negate().intdiv(to).negate() : whole.intdiv(to)
        if (result > Long.MAX_VALUE) return Long.MAX_VALUE
        if (result < Long.MIN_VALUE) return Long.MIN_VALUE
        result as long
    }
    void sleep(amount) { Thread.sleep(amount) }
    def toChronoUnit() { java.time.temporal.ChronoUnit.valueOf([NANOSECONDS: 'NANOS', MICROSECONDS: 'MICROS', MILLISECONDS: 'MILLIS'][name()] ?: name()) }
}

enum ChronoUnit {
    NANOS, MICROS, MILLIS, SECONDS, MINUTES, HOURS, HALF_DAYS, DAYS, WEEKS, MONTHS, YEARS, DECADES
    long between(from, to) { from.until(to, this) }
    boolean isDateBased() { ordinal() >= 7 }
    boolean isTimeBased() { ordinal() < 7 }
    String toString() { name() == 'HALF_DAYS' ? 'HalfDays' : name().toLowerCase().capitalize() }
}

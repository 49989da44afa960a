class DatumDependentDuration extends groovy.time.BaseDuration {
    DatumDependentDuration(int years, int months, int days, int hours, int minutes, int seconds, int millis) { super(years, months, days, hours, minutes, seconds, millis) }
    boolean $ofDatum() { true }
    long toMilliseconds() { def now = new Date(); $moved(now, 1).time - now.time }
}

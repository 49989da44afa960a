class TimeDuration extends groovy.time.Duration {
    TimeDuration(int hours, int minutes, int seconds, int millis) { super(0, hours, minutes, seconds, millis) }
    TimeDuration(int days, int hours, int minutes, int seconds, int millis) { super(days, hours, minutes, seconds, millis) }
    boolean $ofTime() { true }
    Date getAgo() { $moved(new Date(), -1) }
    Date $fromNow() { $moved(new Date(), 1) }
    Date $fromToday() { $moved($day(new Date()), 1) }
}

class TimeDatumDependentDuration extends groovy.time.DatumDependentDuration {
    TimeDatumDependentDuration(int years, int months, int days, int hours, int minutes, int seconds, int millis) { super(years, months, days, hours, minutes, seconds, millis) }
    boolean $ofTime() { true }
    Date getAgo() { $moved(new Date(), -1) }
    Date $fromNow() { $moved(new Date(), 1) }
    Date $fromToday() { $moved($day(new Date()), 1) }
}

abstract class BaseDuration implements Comparable {
    private int $years
    private int $months
    private int $days
    private int $hours
    private int $minutes
    private int $seconds
    private int $millis
    BaseDuration(int years, int months, int days, int hours, int minutes, int seconds, int millis) {
        $years = years
        $months = months
        $days = days
        $hours = hours
        $minutes = minutes
        $seconds = seconds
        $millis = millis
    }
    int getYears() { $years }
    int getMonths() { $months }
    int getDays() { $days }
    int getHours() { $hours }
    int getMinutes() { $minutes }
    int getSeconds() { $seconds }
    int getMillis() { $millis }
    boolean $ofDatum() { false }
    boolean $ofTime() { false }
    long toMilliseconds() { (((($days * 24L + $hours) * 60 + $minutes) * 60 + $seconds) * 1000) + $millis }
    Date plus(Date date) { $moved(date, 1) }
    Date $moved(Date date, int sign) {
        def calendar = new GregorianCalendar(1970, 0, 1)
        calendar.setTime(date)
        calendar.add(Calendar.YEAR, sign * $years)
        calendar.add(Calendar.MONTH, sign * $months)
        new Date(calendar.getTimeInMillis() + sign * ((((($days * 24L + $hours) * 60 + $minutes) * 60 + $seconds) * 1000) + $millis))
    }
    def plus(groovy.time.BaseDuration other) { $with(other, 1) }
    def minus(groovy.time.BaseDuration other) { $with(other, -1) }
    private def $with(other, int sign) {
        int years = $years + sign * other.years
        int months = $months + sign * other.months
        int days = $days + sign * other.days
        int hours = $hours + sign * other.hours
        int minutes = $minutes + sign * other.minutes
        int seconds = $seconds + sign * other.seconds
        int millis = $millis + sign * other.millis
        boolean ofTime = $ofTime() || other.$ofTime()
        if (!$ofDatum() && !other.$ofDatum()) {
            return ofTime ? new groovy.time.TimeDuration(days, hours, minutes, seconds, millis) : new groovy.time.Duration(days, hours, minutes, seconds, millis)
        }
        if (ofTime) return new groovy.time.TimeDatumDependentDuration(years, months, days, hours, minutes, seconds, millis)
        new groovy.time.DatumDependentDuration(years, months, days, hours, minutes, seconds, millis)
    }
    Date getAgo() { $day($moved(new Date(), -1)) }
    def getFrom() { new groovy.time.From(this) }
    Date $fromNow() { $day($moved(new Date(), 1)) }
    Date $fromToday() { $fromNow() }
    Date $day(Date date) { new Date(date.time - Math.floorMod(date.time, 86400000L)) }
    int compareTo(other) { toMilliseconds() <=> other.toMilliseconds() }
    String toString() {
        def out = []
        if ($years != 0) out.add($years + ' years')
        if ($months != 0) out.add($months + ' months')
        if ($days != 0) out.add($days + ' days')
        if ($hours != 0) out.add($hours + ' hours')
        if ($minutes != 0) out.add($minutes + ' minutes')
        if ($seconds != 0 || $millis != 0) {
            int rest = $millis % 1000
            int whole = $seconds + ($millis - rest).intdiv(1000)
            out.add((whole == 0 && rest < 0 ? '-0' : '' + whole) + '.' + ('' + Math.abs(rest)).padLeft(3, '0') + ' seconds')
        }
        out ? out.join(', ') : '0'
    }
}

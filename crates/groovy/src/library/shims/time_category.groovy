class TimeCategory {
    static Date plus(Date date, groovy.time.BaseDuration duration) { duration.plus(date) }
    static Date minus(Date date, groovy.time.BaseDuration duration) { duration.$moved(date, -1) }
    static minus(Date date, Date other) {
        long rest = date.time - other.time
        def parts = []
        for (size in [86400000L, 3600000L, 60000L, 1000L]) { parts.add((int) rest.intdiv(size)); rest = rest % size }
        new groovy.time.TimeDuration(parts[0], parts[1], parts[2], parts[3], (int) rest)
    }
    static getYears(Integer self) { new groovy.time.DatumDependentDuration(self, 0, 0, 0, 0, 0, 0) }
    static getYear(Integer self) { groovy.time.TimeCategory.getYears(self) }
    static getMonths(Integer self) { new groovy.time.DatumDependentDuration(0, self, 0, 0, 0, 0, 0) }
    static getMonth(Integer self) { groovy.time.TimeCategory.getMonths(self) }
    static getWeeks(Integer self) { new groovy.time.Duration(self * 7, 0, 0, 0, 0) }
    static getWeek(Integer self) { groovy.time.TimeCategory.getWeeks(self) }
    static getDays(Integer self) { new groovy.time.Duration(self, 0, 0, 0, 0) }
    static getDay(Integer self) { groovy.time.TimeCategory.getDays(self) }
    static getHours(Integer self) { new groovy.time.TimeDuration(0, self, 0, 0, 0) }
    static getHour(Integer self) { groovy.time.TimeCategory.getHours(self) }
    static getMinutes(Integer self) { new groovy.time.TimeDuration(0, 0, self, 0, 0) }
    static getMinute(Integer self) { groovy.time.TimeCategory.getMinutes(self) }
    static getSeconds(Integer self) { new groovy.time.TimeDuration(0, 0, 0, self, 0) }
    static getSecond(Integer self) { groovy.time.TimeCategory.getSeconds(self) }
    static getMilliseconds(Integer self) { new groovy.time.TimeDuration(0, 0, 0, 0, self) }
    static getMillisecond(Integer self) { groovy.time.TimeCategory.getMilliseconds(self) }
}

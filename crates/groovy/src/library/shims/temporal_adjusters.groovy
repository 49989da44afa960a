class TemporalAdjusters {
    static next(day) { return { date -> date.plusDays($forward(date, day) ?: 7) } }
    static nextOrSame(day) { return { date -> date.plusDays($forward(date, day)) } }
    static previous(day) { return { date -> date.minusDays((7 - $forward(date, day)) % 7 ?: 7) } }
    static previousOrSame(day) { return { date -> date.minusDays((7 - $forward(date, day)) % 7) } }
    static firstDayOfMonth() { return { date -> date.withDayOfMonth(1) } }
    static lastDayOfMonth() { return { date -> date.withDayOfMonth(date.toLocalDate().lengthOfMonth()) } }
    static firstDayOfNextMonth() { return { date -> date.withDayOfMonth(1).plusMonths(1) } }
    static firstDayOfYear() { return { date -> date.withDayOfYear(1) } }
    static lastDayOfYear() { return { date -> date.withDayOfYear(date.toLocalDate().lengthOfYear()) } }
    static firstDayOfNextYear() { return { date -> date.withDayOfYear(1).plusYears(1) } }
    static $forward(date, day) { Math.floorMod(day.value - date.getDayOfWeek().value, 7) }
}

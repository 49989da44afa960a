class Locale implements Serializable, Cloneable {
    private final String $language, $country, $variant
    Locale(String language, String country = '', String variant = '') {
        $language = language.toLowerCase()
        $country = country.toUpperCase()
        $variant = variant
    }

    static final ROOT = new java.util.Locale('')
    static final ENGLISH = new java.util.Locale('en')
    static final FRENCH = new java.util.Locale('fr')
    static final GERMAN = new java.util.Locale('de')
    static final ITALIAN = new java.util.Locale('it')
    static final JAPANESE = new java.util.Locale('ja')
    static final KOREAN = new java.util.Locale('ko')
    static final CHINESE = new java.util.Locale('zh')
    static final US = new java.util.Locale('en', 'US')
    static final UK = new java.util.Locale('en', 'GB')
    static final CANADA = new java.util.Locale('en', 'CA')
    static final FRANCE = new java.util.Locale('fr', 'FR')
    static final GERMANY = new java.util.Locale('de', 'DE')
    static final ITALY = new java.util.Locale('it', 'IT')
    static final JAPAN = new java.util.Locale('ja', 'JP')
    static final KOREA = new java.util.Locale('ko', 'KR')
    static final CHINA = new java.util.Locale('zh', 'CN')
    static final PRC = CHINA
    static final SIMPLIFIED_CHINESE = CHINA
    static final TAIWAN = new java.util.Locale('zh', 'TW')
    static final TRADITIONAL_CHINESE = TAIWAN
    static final CANADA_FRENCH = new java.util.Locale('fr', 'CA')
    private static final NAMES = [
        en: 'English', fr: 'French', de: 'German', it: 'Italian', ja: 'Japanese', ko: 'Korean', zh: 'Chinese',
        US: 'United States', GB: 'United Kingdom', CA: 'Canada', FR: 'France', DE: 'Germany', IT: 'Italy',
        JP: 'Japan', KR: 'South Korea', CN: 'China'
    ]

    static getDefault() { US }
    static forLanguageTag(String tag) {
        def parts = tag.split('-').toList()
        new java.util.Locale(parts[0] == 'und' ? '' : parts[0], parts[1] ?: '', parts[2] ?: '')
    }
    String getLanguage() { $language }
    String getCountry() { $country }
    String getVariant() { $variant }
    String toLanguageTag() { [$language ?: 'und', $country, $variant].findAll { it }.join('-') }
    String getDisplayLanguage(of = null) { NAMES[$language] ?: $language }
    String getDisplayCountry(of = null) { NAMES[$country] ?: $country }
    String getDisplayName(of = null) { $country ? "$displayLanguage ($displayCountry)" : displayLanguage }
    boolean equals(other) { other instanceof java.util.Locale && other.toString() == toString() }
    int hashCode() { toString().hashCode() }
    Object clone() { this }
    String toString() { $variant ? "${$language}_${$country}_${$variant}" : $country ? "${$language}_${$country}" : $language }
}

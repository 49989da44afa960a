class QName {
    private String uri
    private String local
    private String prefix
    QName(String local) { this('', local, '') }
    QName(String uri, String local, String prefix = '') { this.uri = uri; this.local = local; this.prefix = prefix }
    String getNamespaceURI() { uri }
    String getLocalPart() { local }
    String getPrefix() { prefix }
    String getQualifiedName() { prefix == '' ? local : prefix + ':' + local }
    boolean matches(key) {
        if (key instanceof groovy.xml.QName) {
            def names = [[uri, key.namespaceURI], [local, key.localPart]]
            return names.every { it[0] == it[1] || it.contains('*') }
        }
        if (!(key instanceof CharSequence)) return false
        int colon = key.lastIndexOf(':')
        if (colon < 0) return (prefix == '' || uri == '') && key == local
        key.substring(0, colon) in ['*', prefix, uri] && key.substring(colon + 1) in ['*', local]
    }
    boolean equals(other) {
        if (other instanceof groovy.xml.QName) return uri == other.namespaceURI && local == other.localPart
        int colon = other instanceof CharSequence ? other.lastIndexOf(':') : -1
        if (colon < 0 || other.substring(colon + 1) != local) return false
        def before = other.substring(0, colon)
        before == prefix || uri != '' && before == uri
    }
    int hashCode() { uri.hashCode() ^ local.hashCode() }
    String toString() { uri == '' ? local : "{$uri}$local".toString() }
}

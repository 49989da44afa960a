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
    boolean matches(String key) {
        int colon = key.lastIndexOf(':')
        def (before, after) = colon < 0 ? ['', key] : [key.substring(0, colon), key.substring(colon + 1)]
        before in ['*', prefix] && after in ['*', local]
    }
    boolean equals(other) { other instanceof groovy.xml.QName && uri == other.namespaceURI && local == other.localPart }
    int hashCode() { uri.hashCode() ^ local.hashCode() }
    String toString() { uri == '' ? local : "{$uri}$local".toString() }
}

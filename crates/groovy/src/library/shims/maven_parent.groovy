class Parent {
    String groupId
    String artifactId
    String version
    String relativePath = '../pom.xml'

    String getId() { "${groupId}:${artifactId}:pom:${version}" }
    String toString() { id }
}

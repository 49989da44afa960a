class Dependency {
    String groupId
    String artifactId
    String version
    String type = 'jar'
    String classifier
    String scope
    String systemPath
    String optional
    List exclusions = []

    boolean isOptional() { optional == 'true' }
    String getManagementKey() { "${groupId}:${artifactId}:${type}${classifier ? ':' + classifier : ''}" }
    String toString() { "Dependency {groupId=${groupId}, artifactId=${artifactId}, version=${version}, type=${type}}" }
}

class Model {
    String modelVersion
    String groupId
    String artifactId
    String version
    String packaging = 'jar'
    String name
    String description
    String url
    String inceptionYear
    org.apache.maven.model.Parent parent
    Map properties = [:]
    List modules = []
    List dependencies = []
    List profiles = []
    List licenses = []
    List developers = []
    List contributors = []
    List repositories = []
    List pluginRepositories = []
    List mailingLists = []
    Map prerequisites
    Map dependencyManagement
    Map build
    Map reporting
    Map organization
    Map scm
    Map ciManagement
    Map issueManagement
    Map distributionManagement
    String lost

    void addDependency(dependency) { dependencies << dependency }
    void addModule(String module) { modules << module }
    void addProperty(String key, String value) { properties[key] = value }
    String getId() { "${groupId ?: parent?.groupId}:${artifactId}:${packaging}:${version ?: parent?.version}" }
    String toString() { id }
}

package org.example;

/** How much water a pump must move before the enclosure is dry. */
public final class Tide {
    private final double area;
    private final double depth;

    public Tide(double area, double depth) {
        if (area < 0 || depth < 0) {
            throw new IllegalArgumentException("area and depth are not negative");
        }
        this.area = area;
        this.depth = depth;
    }

    /** Cubic metres of water inside. */
    public double volume() {
        return area * depth;
    }
}
